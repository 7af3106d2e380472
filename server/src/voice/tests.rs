//! Sounds that the tests of this module share.

use super::codec::Encoder;
use super::{FRAME, HEARD_RATE};

/// Half of full scale: -9 dBFS.
pub fn tone(rate: u32, hertz: f64, ms: u32) -> Vec<i16> {
    (0..rate * ms / 1_000)
        .map(|i| {
            let phase = f64::from(i) * hertz / f64::from(rate) * std::f64::consts::TAU;
            (phase.sin() * 16_384.0) as i16
        })
        .collect()
}

/// Encodes whole frames.
pub fn packets(spoken: &[i16]) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new();
    let frames = spoken.as_chunks::<FRAME>().0.iter();
    frames
        .map(|frame| encoder.encode(frame).expect("encodes"))
        .collect()
}

/// "What are your opening hours?", spoken by flite, at [`HEARD_RATE`].
pub fn question() -> Vec<i16> {
    let file = include_bytes!("../../../fixtures/voice/opening-hours.wav");
    let (rate, pcm) = super::wav::read(file).expect("a WAV file");
    assert_eq!(rate, HEARD_RATE);
    pcm
}
