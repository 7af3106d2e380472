//! Sound that an engine delivers in bytes, as it comes: a WAV file of any rate, or bare samples, into samples at [`SPOKEN_RATE`].

use super::{Resampler, SPOKEN_RATE, wav};

/// Bytes that are worth taking apart at once: a twentieth of a second. Whoever takes more holds it several times over.
pub const BITE: usize = 2_400;

/// Bytes as they come → samples: bare ones at 24 kHz, as published, or those of a WAV file, as some servers answer all the same.
#[derive(Default)]
pub struct Samples {
    bytes: Vec<u8>,
    form: Option<(usize, Resampler)>,
}

/// A WAV header is found within this, or there is none.
const HEADER_MAX: usize = 4_096;

impl Samples {
    pub fn read(&mut self, piece: &[u8]) -> Vec<i16> {
        self.bytes.extend_from_slice(piece);
        if self.form.is_none() {
            let could_be = self.bytes.starts_with(&b"RIFF"[..self.bytes.len().min(4)]);
            self.form = match wav::header(&self.bytes) {
                Some((rate, channels, data)) => {
                    self.bytes.drain(..data);
                    Some((channels, Resampler::new(rate)))
                }
                None if could_be && self.bytes.len() < HEADER_MAX => return Vec::new(),
                None => Some((1, Resampler::new(SPOKEN_RATE))),
            };
        }
        let Some((channels, resampler)) = &mut self.form else {
            return Vec::new();
        };
        let size = 2 * *channels;
        let whole = self.bytes.len() / size * size;
        let pcm: Vec<i16> = self.bytes[..whole]
            .chunks_exact(size)
            .map(|sample| i16::from_le_bytes([sample[0], sample[1]]))
            .collect();
        self.bytes.drain(..whole);
        resampler.push(&pcm)
    }

    /// What the resampler still holds back.
    pub fn finish(&mut self) -> Vec<i16> {
        match &mut self.form {
            Some((_, resampler)) => resampler.finish(),
            None => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_and_bare_samples_are_read_whatever_their_pieces() {
        let pcm: Vec<i16> = (0..9_000).map(|n| (n % 251) * 100).collect();
        let bare: Vec<u8> = pcm.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        for file in [wav::write(SPOKEN_RATE, &pcm), bare] {
            for size in [1, 3, 44, 45, BITE, 1_000_000] {
                let mut samples = Samples::default();
                let mut read = Vec::new();
                for piece in file.chunks(size) {
                    read.extend(samples.read(piece));
                }
                read.extend(samples.finish());
                assert!(read == pcm, "pieces of {size}");
            }
        }
    }

    #[test]
    fn nothing_is_kept_of_what_was_read() {
        let mut samples = Samples::default();
        for _ in 0..100 {
            samples.read(&[0; BITE]);
        }
        assert!(
            samples.bytes.capacity() <= 2 * BITE,
            "{}",
            samples.bytes.capacity()
        );
    }
}
