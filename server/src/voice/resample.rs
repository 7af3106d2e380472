//! From any rate of a speech engine to [`SPOKEN_RATE`], piece by piece: a windowed sinc, as long as it must be to keep what is above
//! the lower of the two bands out.

use super::SPOKEN_RATE;
use std::f64::consts::PI;

/// Zero crossings of the sinc on each side.
const REACH: f64 = 12.0;

pub struct Resampler {
    /// Input samples per output sample.
    step: f64,
    /// Of the sinc, relative to the input's rate.
    cutoff: f64,
    input: Vec<f64>,
    /// Where the next output sample lies in `input`.
    at: f64,
    half: usize,
}

impl Resampler {
    pub fn new(from_rate: u32) -> Resampler {
        let step = f64::from(from_rate.max(1)) / f64::from(SPOKEN_RATE);
        let cutoff = (1.0 / step).min(1.0);
        let half = (REACH / cutoff).ceil() as usize;
        Resampler {
            step,
            cutoff,
            // The filter looks back before the first sample.
            input: vec![0.0; half],
            at: half as f64,
            half,
        }
    }

    pub fn push(&mut self, pcm: &[i16]) -> Vec<i16> {
        if self.step == 1.0 {
            return pcm.to_vec();
        }
        self.input
            .extend(pcm.iter().map(|sample| f64::from(*sample)));
        let mut out = Vec::with_capacity((pcm.len() as f64 / self.step) as usize + 1);
        while self.at as usize + self.half < self.input.len() {
            out.push(self.sample());
            self.at += self.step;
        }
        let past = (self.at as usize)
            .saturating_sub(self.half)
            .min(self.input.len());
        self.input.drain(..past);
        self.at -= past as f64;
        out
    }

    /// What the filter still holds back.
    pub fn finish(&mut self) -> Vec<i16> {
        if self.step == 1.0 {
            return Vec::new();
        }
        let tail = vec![0; self.half];
        self.push(&tail)
    }

    fn sample(&self) -> i16 {
        let middle = self.at as usize;
        let from = middle.saturating_sub(self.half - 1);
        let sum: f64 = (from..=middle + self.half)
            .filter_map(|index| {
                let x = self.at - index as f64;
                Some(self.input.get(index)? * self.weight(x))
            })
            .sum();
        sum as i16
    }

    fn weight(&self, x: f64) -> f64 {
        let reach = self.half as f64;
        if x.abs() >= reach {
            return 0.0;
        }
        // Hann.
        let window = 0.5 + 0.5 * (PI * x / reach).cos();
        let y = PI * x * self.cutoff;
        let sinc = if y.abs() < 1e-9 { 1.0 } else { y.sin() / y };
        self.cutoff * sinc * window
    }
}

#[cfg(test)]
mod tests {
    use super::super::level;
    use super::super::tests::tone;
    use super::*;

    /// Resamples a tone in pieces; gives samples a second and the level.
    fn through(rate: u32, hertz: f64) -> (usize, f32) {
        let mut resampler = Resampler::new(rate);
        let mut out = Vec::new();
        for piece in tone(rate, hertz, 1_000).chunks(333) {
            out.extend(resampler.push(piece));
        }
        out.extend(resampler.finish());
        (out.len(), level::dbfs(&out[2_400..out.len() - 2_400]))
    }

    #[test]
    fn length_and_loudness_stay() {
        for rate in [8_000, 16_000, 22_050, 24_000, 44_100, 48_000] {
            let (samples, level) = through(rate, 440.0);
            assert!((23_960..24_040).contains(&samples), "{rate}: {samples}");
            assert!((level + 9.03).abs() < 0.3, "{rate}: {level}");
        }
    }

    #[test]
    fn what_the_lower_band_cannot_hold_does_not_come_back_as_another_tone() {
        let (_, level) = through(48_000, 18_000.0);
        assert!(level < -50.0, "{level}");
    }
}
