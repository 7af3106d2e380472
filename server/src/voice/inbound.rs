//! From packets as they come to sound without holes. The transport has put them in order and waited for stragglers as long as that
//! made sense; here a late one is dropped, a lost one is concealed, and a pause of the sender (DTX) is silence that nobody computes.

use super::codec::{Decoder, duration};
use super::{FRAME_TIME, HEARD_RATE, Heard, Packet};
use std::time::{Duration, Instant};

/// Ticks of the RTP clock for one of our samples.
const TICKS: u64 = (48_000 / HEARD_RATE) as u64;
/// A jump further than this is another stream: nothing is filled.
const JUMP_MAX_TICKS: u64 = 48_000 * 10;
/// Longer holes are not made up: silence.
const CONCEAL_MAX: usize = HEARD_RATE as usize / 10;
/// Without a packet for so long the visitor may be silent. Above what jitter makes, below what a pause is.
const STALL: Duration = Duration::from_millis(120);

pub struct Inbound {
    /// There from the first packet on.
    decoder: Option<Decoder>,
    last_seq: Option<u64>,
    next_time: u64,
    /// Until when it was told what there was to hear.
    given_until: Instant,
    /// The visitor is silent: no packet has come for longer than [`STALL`], or the last came out of such a pause.
    paused: bool,
}

impl Inbound {
    pub fn new(now: Instant) -> Inbound {
        Inbound {
            decoder: None,
            last_seq: None,
            next_time: 0,
            given_until: now,
            paused: false,
        }
    }

    pub fn packet(&mut self, packet: &Packet, now: Instant, out: &mut Vec<Heard>) {
        if self.last_seq.is_some_and(|last| packet.seq <= last) {
            return;
        }
        self.paused = self.fill_hole(packet, out);
        self.last_seq = Some(packet.seq);
        self.given_until = now;
        // Garbage lasts no time: the next packet's own time says what is missing.
        match self.decoder().decode(&packet.payload) {
            Some(pcm) => {
                self.next_time = packet.time.saturating_add(pcm.len() as u64 * TICKS);
                out.push(Heard::Sound(pcm));
            }
            None => {
                let lasts = duration(&packet.payload).unwrap_or(0) as u64;
                self.next_time = packet.time.saturating_add(lasts * TICKS);
                out.push(Heard::Silence(samples(lasts as usize)));
            }
        }
    }

    fn decoder(&mut self) -> &mut Decoder {
        self.decoder.get_or_insert_default()
    }

    /// True: nothing is missing, the sender paused.
    fn fill_hole(&mut self, packet: &Packet, out: &mut Vec<Heard>) -> bool {
        let Some(last) = self.last_seq else {
            return false;
        };
        let hole = packet.time.saturating_sub(self.next_time);
        if hole > JUMP_MAX_TICKS {
            return false;
        }
        let hole = (hole / TICKS) as usize;
        if hole == 0 {
            return false;
        }
        let lost = packet.seq - last > 1;
        let concealed = if lost { hole.min(CONCEAL_MAX) } else { 0 };
        // The end of the hole may be in the packet after it; what comes before that is made up, and of a long hole is silence.
        let copied = duration(&packet.payload).filter(|copied| *copied <= concealed);
        let made_up = concealed - copied.unwrap_or(0);
        if made_up > 0 {
            out.push(Heard::Sound(self.decoder().conceal(made_up)));
        }
        if hole > concealed {
            out.push(Heard::Silence(samples(hole - concealed)));
        }
        if let Some(copied) = copied {
            let copy = self.decoder().recover(&packet.payload);
            out.push(Heard::Sound(copy.unwrap_or_else(|| vec![0; copied])));
        }
        !lost
    }

    /// Lets time pass: a sender that stops sending may be silent, and a turn must end all the same. The next packet's own time says
    /// whether it was silence, or the packet was late.
    pub fn tick(&mut self, now: Instant, out: &mut Vec<Heard>) {
        let missing = now.saturating_duration_since(self.given_until);
        if missing < if self.paused { FRAME_TIME } else { STALL } {
            return;
        }
        self.paused = true;
        self.given_until += missing;
        out.push(Heard::Nothing(missing));
    }
}

fn samples(count: usize) -> Duration {
    Duration::from_micros(count as u64 * 1_000_000 / u64::from(HEARD_RATE))
}

#[cfg(test)]
mod tests {
    use super::super::SPOKEN_RATE;
    use super::super::tests::{packets, tone};
    use super::*;

    /// Feeds packets of a second's tone by their index; gives milliseconds of sound and of silence.
    fn check(order: &[u64], expected: (u128, u128)) {
        let speech = packets(&tone(SPOKEN_RATE, 440.0, 1_000));
        let start = Instant::now();
        let mut inbound = Inbound::new(start);
        let mut out = Vec::new();
        for index in order {
            let packet = Packet {
                seq: 100 + index,
                time: 5_000 + index * 960,
                payload: speech[*index as usize].clone(),
            };
            inbound.packet(&packet, start, &mut out);
        }
        assert_eq!(durations(&out), expected, "{order:?}");
    }

    fn durations(heard: &[Heard]) -> (u128, u128) {
        heard
            .iter()
            .fold((0, 0), |(sound, silence), heard| match heard {
                Heard::Sound(pcm) => (sound + samples(pcm.len()).as_millis(), silence),
                Heard::Silence(time) => (sound, silence + time.as_millis()),
                Heard::Nothing(_) => (sound, silence),
            })
    }

    #[test]
    fn lost_packets_are_made_up_for_a_while_and_late_ones_dropped() {
        check(&[0, 1, 2], (60, 0));
        check(&[0, 2], (60, 0));
        check(&[0, 2, 1, 3], (80, 0));
        check(&[0, 0, 0], (20, 0));
        // Five of the fourteen lost ones are made up.
        check(&[0, 15], (140, 180));
    }

    #[test]
    fn a_sender_that_pauses_is_silent_and_not_counted_twice() {
        let speech = packets(&tone(SPOKEN_RATE, 440.0, 100));
        let start = Instant::now();
        let mut inbound = Inbound::new(start);
        let packet = |seq: u64, time: u64| Packet {
            seq,
            time,
            payload: speech[0].clone(),
        };
        let mut out = Vec::new();
        inbound.packet(&packet(1, 0), start, &mut out);
        for ms in (20..=1_000).step_by(20) {
            inbound.tick(start + Duration::from_millis(ms), &mut out);
        }
        // One packet in a second, as a sender with DTX does.
        inbound.packet(&packet(2, 48_000), start + Duration::from_secs(1), &mut out);
        let (sound, silence) = durations(&out);
        assert_eq!(sound, 40);
        assert!((970..1_010).contains(&silence), "{silence} ms of silence");
    }

    #[test]
    fn of_a_pause_without_packets_all_is_told() {
        let speech = packets(&tone(SPOKEN_RATE, 440.0, 100));
        let start = Instant::now();
        let mut inbound = Inbound::new(start);
        let mut out = Vec::new();
        let packet = Packet {
            seq: 1,
            time: 0,
            payload: speech[0].clone(),
        };
        inbound.packet(&packet, start, &mut out);
        let mut told = Duration::ZERO;
        for ms in (20..=1_000).step_by(20) {
            out.clear();
            inbound.tick(start + Duration::from_millis(ms), &mut out);
            for heard in &out {
                if let Heard::Nothing(time) = heard {
                    told += *time;
                }
            }
            assert!(ms >= 120 || told.is_zero(), "a late packet is no pause");
        }
        assert!(told >= Duration::from_millis(980), "{told:?} of a second");
        // A packet now and then, as senders with DTX have them, is no end of the pause; two in a row are.
        let heard_after = |inbound: &mut Inbound, seq: u64, ms: u64| {
            let packet = Packet {
                seq,
                time: ms * 48,
                payload: speech[0].clone(),
            };
            let mut out = Vec::new();
            let at = start + Duration::from_millis(ms);
            inbound.packet(&packet, at, &mut out);
            out.clear();
            inbound.tick(at + Duration::from_millis(40), &mut out);
            out.len()
        };
        assert_eq!(heard_after(&mut inbound, 2, 1_000), 1, "still a pause");
        assert_eq!(heard_after(&mut inbound, 3, 1_020), 0, "a late packet");
    }

    #[test]
    fn garbage_and_wild_clocks_are_survived() {
        let start = Instant::now();
        let mut inbound = Inbound::new(start);
        let mut out = Vec::new();
        for (seq, time) in [
            (1, u64::MAX),
            (2, 0),
            (u64::MAX, 5),
            (3, 9),
            (u64::MAX, u64::MAX),
        ] {
            let payload = vec![0xff; seq as usize % 5];
            inbound.packet(&Packet { seq, time, payload }, start, &mut out);
        }
        let (sound, silence) = durations(&out);
        assert!(sound + silence < 11_000, "{sound} {silence}");
    }
}
