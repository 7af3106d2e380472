//! WAV files of 16 bits: what recognisers take and synthesisers give. Reads leniently, as streaming servers write lengths that are not true.

/// Mono.
pub fn write(rate: u32, pcm: &[i16]) -> Vec<u8> {
    let bytes = (pcm.len() * 2) as u32;
    let mut wav = Vec::with_capacity(44 + pcm.len() * 2);
    wav.extend(b"RIFF");
    wav.extend((36 + bytes).to_le_bytes());
    wav.extend(b"WAVEfmt ");
    wav.extend(16u32.to_le_bytes());
    // PCM, one channel.
    wav.extend([1, 0, 1, 0]);
    wav.extend(rate.to_le_bytes());
    wav.extend((rate * 2).to_le_bytes());
    wav.extend([2, 0, 16, 0]);
    wav.extend(b"data");
    wav.extend(bytes.to_le_bytes());
    wav.extend(pcm.iter().flat_map(|sample| sample.to_le_bytes()));
    wav
}

/// Rate and samples; of several channels the first. None: no WAV file of 16-bit samples.
pub fn read(file: &[u8]) -> Option<(u32, Vec<i16>)> {
    let (rate, channels, data) = header(file)?;
    Some((rate, samples(file.get(data..)?, channels)))
}

/// Rate, channels, and where the samples begin. None also while too little of the file is there.
pub fn header(file: &[u8]) -> Option<(u32, usize, usize)> {
    if file.get(..4)? != b"RIFF" || file.get(8..12)? != b"WAVE" {
        return None;
    }
    let mut at = 12usize;
    let mut format = None;
    loop {
        let name = file.get(at..at + 4)?;
        let length = u32::from_le_bytes(file.get(at + 4..at + 8)?.try_into().ok()?) as usize;
        let body = at + 8;
        match name {
            b"fmt " => {
                let body = file.get(body..body + 16)?;
                let channels = usize::from(u16::from_le_bytes([body[2], body[3]]));
                let rate = u32::from_le_bytes([body[4], body[5], body[6], body[7]]);
                let bits = u16::from_le_bytes([body[14], body[15]]);
                let good =
                    bits == 16 && (1..=8).contains(&channels) && (4_000..=192_000).contains(&rate);
                format = good.then_some((rate, channels));
            }
            b"data" => return format.map(|(rate, channels)| (rate, channels, body)),
            _ => {}
        }
        at = body.checked_add(length)?.checked_add(length & 1)?;
    }
}

fn samples(data: &[u8], channels: usize) -> Vec<i16> {
    let all = data.as_chunks::<2>().0.iter();
    all.step_by(channels)
        .map(|pair| i16::from_le_bytes(*pair))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let pcm = vec![0, 1, -1, i16::MIN, i16::MAX];
        assert_eq!(read(&write(16_000, &pcm)), Some((16_000, pcm)));
    }

    #[test]
    fn lengths_that_are_not_true_and_files_that_are_none_are_survived() {
        let mut streamed = write(24_000, &[7, 8]);
        streamed[40..44].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(read(&streamed), Some((24_000, vec![7, 8])));
        let whole = write(8_000, &[1; 50]);
        for cut in 0..44 {
            assert_eq!(read(&whole[..cut]), None);
        }
        for at in 0..44 {
            let mut damaged = whole.clone();
            damaged[at] = 0xff;
            let _ = read(&damaged);
        }
    }
}
