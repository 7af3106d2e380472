//! Random numbers from the seed that the platform gave at boot: message ids and jitter. Not for secrets.

/// `SplitMix64` (Steele, Lea, Flood 2014): a few bytes of code, passes the usual tests.
#[derive(Clone, Debug, Default)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Even in `0..bound`, up to a bias that jitter does not mind.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.bits().checked_rem(bound).unwrap_or(0)
    }

    /// `m_` and 24 characters of base 32: unique among one visitor's messages for all practical purposes (120 bits).
    pub fn message_id(&mut self) -> String {
        let mut id = String::from("m_");
        for _ in 0..2 {
            let mut bits = self.bits();
            for _ in 0..12 {
                let digit = b"abcdefghijklmnopqrstuvwxyz234567".get((bits & 31) as usize);
                id.push(char::from(digit.copied().unwrap_or(b'a')));
                bits >>= 5;
            }
        }
        id
    }
}
