//! Sounds that the tests of this module share.

use super::codec::Encoder;
use super::engine::{Engine, Engines, SoFar, SpeechFailure, SpeechToText, TextToSpeech};
use super::{CallSettings, FRAME, HEARD_RATE, Voices};
use crate::error::Fault;
use async_trait::async_trait;
use karta_protocol::ErrorCode;
use std::sync::Arc;
use tokio::sync::mpsc;

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

struct Mute;

#[async_trait]
impl SpeechToText for Mute {
    async fn transcribe(
        &self,
        _: mpsc::Receiver<Vec<i16>>,
        _: &dyn SoFar,
    ) -> Result<String, SpeechFailure> {
        Ok(String::new())
    }
}

#[async_trait]
impl TextToSpeech for Mute {
    async fn speak(&self, _: &str, _: &mpsc::Sender<Vec<i16>>) -> Result<(), SpeechFailure> {
        Ok(())
    }
}

/// An engine that hears and says nothing.
pub fn mute() -> Engine {
    Engine {
        ears: Arc::new(Mute),
        mouth: Arc::new(Mute),
        metered: false,
    }
}

#[test]
fn calls_beyond_what_the_server_takes_are_refused_with_a_time_to_wait() {
    let voices = Voices::new(Engines::only(mute()), 1, CallSettings::default());
    let (_, place) = voices.admit("auto").expect("the first call");
    match voices.admit("auto").err() {
        Some(Fault::Refused {
            code,
            retry_after_seconds,
            ..
        }) => assert_eq!(
            (code, retry_after_seconds),
            (ErrorCode::Overloaded, Some(30))
        ),
        other => panic!("{other:?}"),
    }
    let off = voices.admit("off").err().map(|fault| fault.code());
    assert_eq!(off, Some(ErrorCode::VoiceUnavailable));
    drop(place);
    assert!(voices.admit("auto").is_ok());
}
