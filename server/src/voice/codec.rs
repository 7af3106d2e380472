//! Opus in and out, by libopus: the decoder that browsers themselves meet the internet with. docs/ARCHITECTURE.md says
//! what it costs beside the codec in Rust that was here before.

use super::{FRAME, HEARD_RATE, SPOKEN_RATE};
use opusic_c::{Application, Bitrate, Channels, SampleRate};

const _: () =
    assert!(HEARD_RATE == SampleRate::Hz16000 as u32 && SPOKEN_RATE == SampleRate::Hz24000 as u32);

/// RFC 6716 3.4: no packet lasts longer.
const PACKET_MAX_MS: usize = 120;
/// RFC 6716 3.2.1, for one frame of 20 ms.
const PACKET_MAX_BYTES: usize = 1_275;
/// Speech in super-wideband is clear with this.
const BITRATE: u32 = 32_000;
/// Of 10. From this on libopus' quantiser has so many states that it uses the vector unit, so 6 is better than 5 and takes a sixth less; above, the
/// processor pays and nobody hears it.
const COMPLEXITY: u8 = 6;

/// How long a packet plays, in samples at [`HEARD_RATE`], by its first bytes (RFC 6716 3.1). None: no Opus.
pub fn duration(packet: &[u8]) -> Option<usize> {
    let toc = *packet.first()?;
    // In quarters of a millisecond, as the shortest frame has 2.5 ms.
    let frame = match toc >> 3 {
        config @ 0..=11 => [40, 80, 160, 240][usize::from(config & 3)],
        config @ 12..=15 => [40, 80][usize::from(config & 1)],
        config => [10, 20, 40, 80][usize::from(config & 3)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => usize::from(packet.get(1)? & 63),
    };
    let quarters = frame * frames;
    (quarters > 0 && quarters <= PACKET_MAX_MS * 4).then(|| quarters * HEARD_RATE as usize / 4_000)
}

/// From packets to samples at [`HEARD_RATE`], mono.
pub struct Decoder {
    opus: opusic_c::Decoder,
}

impl Decoder {
    pub fn new() -> Decoder {
        Decoder {
            opus: opusic_c::Decoder::new(Channels::Mono, SampleRate::Hz16000)
                .expect("16 kHz mono is one of Opus' formats"),
        }
    }

    /// None: the bytes are no Opus. What was heard before stays.
    pub fn decode(&mut self, packet: &[u8]) -> Option<Vec<i16>> {
        self.run(packet, duration(packet)?, false)
    }

    /// What was said just before this packet, in a hole that is as long as the packet plays: from the copy that browsers send along
    /// (in-band FEC), or made up where there is none. None: the bytes are no Opus.
    pub fn recover(&mut self, next: &[u8]) -> Option<Vec<i16>> {
        self.run(next, duration(next)?, true)
    }

    /// What was probably said in a hole of so many samples.
    pub fn conceal(&mut self, samples: usize) -> Vec<i16> {
        // Multiples of 2.5 ms only.
        let step = HEARD_RATE as usize / 400;
        let whole = (samples / step * step).min(HEARD_RATE as usize * PACKET_MAX_MS / 1_000);
        let mut pcm = match whole {
            0 => Vec::new(),
            whole => self.run(&[], whole, false).unwrap_or_default(),
        };
        pcm.resize(samples, 0);
        pcm
    }

    fn run(&mut self, packet: &[u8], samples: usize, copy: bool) -> Option<Vec<i16>> {
        // The binding has the samples without their sign.
        let mut pcm = [0; HEARD_RATE as usize * PACKET_MAX_MS / 1_000];
        let pcm = pcm.get_mut(..samples)?;
        let length = self.opus.decode_to_slice(packet, pcm, copy).ok()?;
        let decoded = pcm.get(..length)?;
        Some(decoded.iter().map(|sample| sample.cast_signed()).collect())
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Decoder::new()
    }
}

/// From frames of 20 ms at [`SPOKEN_RATE`] to packets.
pub struct Encoder {
    opus: opusic_c::Encoder,
}

impl Encoder {
    pub fn new() -> Encoder {
        let opus = opusic_c::Encoder::new(Channels::Mono, SampleRate::Hz24000, Application::Voip);
        let mut opus = opus.expect("24 kHz mono is one of Opus' formats");
        let set = opus.set_bitrate(Bitrate::Value(BITRATE));
        set.and_then(|()| opus.set_complexity(COMPLEXITY))
            .expect("both are in the range of what Opus takes");
        Encoder { opus }
    }

    /// None only if the codec fails: the frame is left out.
    pub fn encode(&mut self, frame: &[i16; FRAME]) -> Option<Vec<u8>> {
        let frame = frame.map(i16::cast_unsigned);
        let mut packet = [0; PACKET_MAX_BYTES];
        let length = self.opus.encode_to_slice(&frame, &mut packet).ok()?;
        packet.get(..length).map(<[u8]>::to_vec)
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Encoder::new()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{packets, question, tone};
    use super::super::{Resampler, level};
    use super::*;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    #[test]
    fn what_is_encoded_is_heard_again() {
        let mut decoder = Decoder::new();
        let mut heard = Vec::new();
        for packet in packets(&tone(SPOKEN_RATE, 440.0, 1_000)) {
            assert_eq!(duration(&packet), Some(320), "20 ms at 16 kHz");
            heard.extend(decoder.decode(&packet).expect("our own packet"));
        }
        assert_eq!(heard.len(), 16_000);
        let level = level::dbfs(&heard[1_600..]);
        assert!((-12.0..-6.0).contains(&level), "{level} dBFS");
    }

    #[test]
    fn a_hole_is_filled_and_fades() {
        let mut decoder = Decoder::new();
        for packet in packets(&tone(SPOKEN_RATE, 440.0, 400)) {
            decoder.decode(&packet).expect("our own packet");
        }
        assert!(level::dbfs(&decoder.conceal(320)) > -40.0);
        for length in [0, 1, 39, 40, 321, 1_920, 100_000] {
            assert_eq!(decoder.conceal(length).len(), length);
        }
    }

    #[test]
    fn a_lost_packet_comes_back_from_the_copy_in_the_next() {
        let mut encoder = Encoder::new();
        let copies = encoder.opus.set_inband_fec(opusic_c::InbandFec::Mode1);
        copies
            .and_then(|()| encoder.opus.set_packet_loss(20))
            .expect("copies");
        let spoken = Resampler::new(HEARD_RATE).push(&question());
        let frames = spoken.as_chunks::<FRAME>().0.iter();
        let packets: Vec<Vec<u8>> = frames.filter_map(|frame| encoder.encode(frame)).collect();
        // How far each way of filling the hole is from what was said.
        let (mut recovered, mut concealed) = (0.0, 0.0);
        for lost in 10..packets.len() - 1 {
            let filled = |how: &dyn Fn(&mut Decoder) -> Vec<i16>| {
                let mut decoder = Decoder::new();
                for packet in &packets[..lost] {
                    decoder.decode(packet).expect("our own packet");
                }
                how(&mut decoder)
            };
            let next = &packets[lost + 1];
            let said = filled(&|decoder| decoder.decode(&packets[lost]).expect("our own packet"));
            let away = |pcm: Vec<i16>| -> f64 {
                let pairs = pcm.iter().zip(&said);
                pairs
                    .map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2))
                    .sum()
            };
            recovered += away(filled(&|decoder| {
                decoder.recover(next).expect("our own packet")
            }));
            concealed += away(filled(&|decoder| decoder.conceal(320)));
        }
        assert!(recovered < concealed * 0.8, "{recovered} {concealed}");
    }

    #[test]
    fn packets_say_how_long_they_play() {
        for (packet, samples) in [
            (&[][..], None),
            (&[0][..], Some(160)),
            (&[0b0001_1000, 0][..], Some(960)),
            (&[0b0111_1000, 0][..], Some(320)),
            (&[0b1110_0000, 0][..], Some(40)),
            (&[0b1111_1001, 0][..], Some(640)),
            (&[0b1111_1011][..], None),
            (&[0b1111_1011, 0][..], None),
            (&[0b1111_1011, 6][..], Some(1_920)),
            (&[0b1111_1011, 7][..], None),
        ] {
            assert_eq!(duration(packet), samples, "{packet:?}");
        }
    }

    /// Speech in all of Opus' modes and lengths, as other senders than browsers have them: what strangers send is made of these.
    fn corpus() -> Vec<Vec<u8>> {
        let spoken = Resampler::new(HEARD_RATE).push(&question());
        let spoken: Vec<u16> = spoken[2_400..12_000]
            .iter()
            .map(|s| s.cast_unsigned())
            .collect();
        let both: Vec<u16> = spoken.iter().flat_map(|sample| [*sample; 2]).collect();
        let mut packets = Vec::new();
        for (application, bitrate) in [
            (Application::Voip, 8_000),
            (Application::Voip, 24_000),
            (Application::Audio, 96_000),
            (Application::LowDelay, 64_000),
        ] {
            for (channels, pcm) in [(Channels::Mono, &spoken), (Channels::Stereo, &both)] {
                for tenths_ms in [25, 100, 200, 600] {
                    let mut encoder =
                        opusic_c::Encoder::new(channels, SampleRate::Hz24000, application)
                            .expect("an encoder");
                    encoder
                        .set_bitrate(Bitrate::Value(bitrate))
                        .and_then(|()| encoder.set_inband_fec(opusic_c::InbandFec::Mode1))
                        .and_then(|()| encoder.set_packet_loss(20))
                        .expect("in range");
                    let frame = tenths_ms * 24 / 10 * channels as usize;
                    for piece in pcm.chunks_exact(frame).take(40) {
                        let mut packet = [0; 4_000];
                        let length = encoder.encode_to_slice(piece, &mut packet);
                        packets.push(packet[..length.expect("a packet")].to_vec());
                    }
                }
            }
        }
        packets
    }

    fn hostile(corpus: &[Vec<u8>], random: &mut StdRng) -> Vec<u8> {
        let any = |random: &mut StdRng| corpus[random.random_range(0..corpus.len())].clone();
        let mut packet = match random.random_range(0..8) {
            0 => (0..random.random_range(0..1_400))
                .map(|_| random.random())
                .collect(),
            1 => [any(random), any(random)].concat(),
            _ => any(random),
        };
        for _ in 0..random.random_range(0..6) {
            if packet.is_empty() {
                break;
            }
            let at = random.random_range(0..packet.len());
            match random.random_range(0..6) {
                0 => packet.truncate(at),
                1 => packet.insert(at, random.random()),
                2 => packet[at] = random.random(),
                // Another mode, or another number of frames in it.
                3 => packet[0] = random.random(),
                _ => packet[at] ^= 1 << random.random_range(0..8),
            }
        }
        packet
    }

    /// libopus is C, and one of its own checks would end the process: this whole test, and on a server every call. So it gets far more than
    /// one seed of garbage. `KARTA_TEST_LONG=1` (`./build.sh test --long`) sends forty times as much.
    #[test]
    fn garbage_is_refused_or_decoded_and_speech_goes_on() {
        let rounds = match std::env::var_os("KARTA_TEST_LONG") {
            Some(_) => 160_000,
            None => 4_000,
        };
        let mut random = StdRng::seed_from_u64(7);
        let corpus = corpus();
        let (mut decoder, mut decoded) = (Decoder::new(), 0);
        for round in 0..rounds {
            if round % 500 == 0 {
                decoder = Decoder::new();
            }
            let packet = hostile(&corpus, &mut random);
            let pcm = match random.random_range(0..8) {
                0 => decoder.recover(&packet),
                1 => {
                    let samples = random.random_range(0..4_000);
                    assert_eq!(decoder.conceal(samples).len(), samples);
                    continue;
                }
                _ => decoder.decode(&packet),
            };
            if let Some(pcm) = pcm {
                decoded += 1;
                assert_eq!(Some(pcm.len()), duration(&packet));
            }
        }
        // Refused at the door, it would prove nothing.
        assert!(decoded > rounds / 3, "{decoded} of {rounds}");
        let heard: Vec<i16> = packets(&tone(SPOKEN_RATE, 440.0, 400))
            .iter()
            .flat_map(|packet| decoder.decode(packet).expect("our own packet"))
            .collect();
        assert!(level::dbfs(&heard[3_200..]) > -15.0);
    }
}
