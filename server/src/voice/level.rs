//! How loud a stretch of sound is.

/// What nobody hears: also the answer for no samples at all.
pub const SILENCE_DBFS: f32 = -96.0;

/// Root mean square against full scale, in decibels: 0 is the loudest, [`SILENCE_DBFS`] the quietest.
pub fn dbfs(pcm: &[i16]) -> f32 {
    if pcm.is_empty() {
        return SILENCE_DBFS;
    }
    let squares: f64 = pcm.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    let mean = squares / pcm.len() as f64 / (32_768.0 * 32_768.0);
    ((10.0 * mean.log10()) as f32).max(SILENCE_DBFS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_decibels_of_full_scale() {
        for (pcm, expected) in [
            (vec![], SILENCE_DBFS),
            (vec![0; 100], SILENCE_DBFS),
            (vec![i16::MIN; 100], 0.0),
            (vec![-16_384; 100], -6.02),
            (vec![1_638, -1_638], -26.02),
        ] {
            assert!((dbfs(&pcm) - expected).abs() < 0.1, "{expected}");
        }
    }
}
