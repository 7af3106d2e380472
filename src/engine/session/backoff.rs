//! How long to wait before trying again: doubling, capped, with jitter so that a thousand widgets do not come back at once.

use crate::engine::effect::Millis;
use crate::engine::limits::{BACKOFF_CAP_MS, BACKOFF_FIRST_MS};
use crate::engine::random::Random;

#[derive(Clone, Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Consecutive failures so far.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Counts a failure and gives the delay before the next attempt: between half and one and a half of 0.5 s, 1 s, 2 s … 30 s.
    pub fn fail(&mut self, random: &mut Random) -> Millis {
        let step = BACKOFF_FIRST_MS << self.failures.min(16);
        self.failures = self.failures.saturating_add(1);
        let step = step.min(BACKOFF_CAP_MS);
        step / 2 + random.below(step)
    }

    pub fn succeed(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_cap_and_start_again_after_success() {
        let mut random = Random::new(7);
        let mut backoff = Backoff::default();
        for step in [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
            let delay = backoff.fail(&mut random);
            assert!(
                (step / 2..step / 2 + step).contains(&delay),
                "{step}: {delay}"
            );
        }
        for _ in 0..100 {
            assert!(backoff.fail(&mut random) < 45_000);
        }
        backoff.succeed();
        assert!(backoff.fail(&mut random) < 750);
    }

    #[test]
    fn two_widgets_do_not_come_back_together() {
        let delays = |seed| {
            let mut random = Random::new(seed);
            let mut backoff = Backoff::default();
            [(); 4].map(|()| backoff.fail(&mut random))
        };
        assert_ne!(delays(1), delays(2));
    }
}
