//! Chance: random numbers that are the same on every machine.
//!
//! SplitMix64 (Steele, Lea and Flood, 2014), one sequence for each (seed, lane, number). It costs nothing to
//! start, which is what a generator that restarts for every transaction needs, and, unlike the small generators
//! of a library, it may never change under a seed. All arithmetic is on integers: the floating-point functions
//! of one platform differ from another's in the last digit.

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// What a sequence is for: two lanes of one seed have nothing in common.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Lane {
    /// The devices and suppliers of a household.
    Household = 1,
    /// What happens in a transaction.
    Transaction = 2,
    /// How an event is delivered.
    Delivery = 3,
    /// How what became of a household's Devices and meter points was told.
    Inventory = 4,
    /// What changes in a household, and when.
    Changes = 5,
    /// The Thresholds Files of a User.
    Thresholds = 6,
    /// How what became of a quarantined communication was told.
    Quarantine = 7,
    /// The schedules of a household.
    Schedules = 8,
    /// New firmware of a household.
    Firmware = 9,
}

/// One sequence of random numbers.
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    /// The sequence of this number in a lane of a seed.
    pub(crate) fn of(seed: u64, lane: Lane, number: u64) -> Self {
        Self(mix(mix(seed.wrapping_add(GOLDEN.wrapping_mul(lane as u64))) ^ mix(number.wrapping_add(GOLDEN))))
    }

    /// 64 random bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// A number below `bound`; 0 for a bound of 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }

    /// A place in a list of this length.
    #[expect(clippy::cast_possible_truncation, reason = "the result is below a length, which is a usize")]
    pub(crate) fn index(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }

    /// One of these, each as likely as the next.
    pub(crate) fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.index(all.len())]
    }

    /// A number of `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        low.saturating_add_unsigned(self.below(low.abs_diff(high) + 1))
    }

    /// Whether something that happens this often in a thousand happens now.
    pub(crate) fn per_mille(&mut self, often: u64) -> bool {
        self.below(1_000) < often
    }

    /// Whether something that happens this often in a million happens now.
    pub(crate) fn per_million(&mut self, often: u32) -> bool {
        self.below(1_000_000) < u64::from(often)
    }

    /// A place among `weights`, each as likely as it is heavy.
    pub(crate) fn weighted(&mut self, weights: impl Iterator<Item = u64> + Clone) -> usize {
        let mut left = self.below(weights.clone().sum());
        for (at, weight) in weights.enumerate() {
            if left < weight {
                return at;
            }
            left -= weight;
        }
        0
    }

    /// A delay in milliseconds with a long tail, near to log-normal: `median` times two to the power of
    /// `spread` / 4 × a number of about normal distribution, which stays within ±3.5.
    ///
    /// The four uniform numbers added here have a standard deviation of 1.15 of one's half range.
    pub(crate) fn long_tailed(&mut self, median_ms: i64, spread: i64) -> i64 {
        let half = spread * 56;
        // In 1/256 of an octave.
        let octaves: i64 = (0..4).map(|_| self.between(-half, half)).sum();
        (median_ms.saturating_mul(exp2(octaves)) >> 16).max(1)
    }
}

/// 2 to the power of `octaves` / 256, times 65,536, exact to 0.05 %, for -4,096 to 4,096.
fn exp2(octaves: i64) -> i64 {
    const SIXTEENTHS: [i64; 17] = [
        65_536, 68_438, 71_468, 74_632, 77_936, 81_386, 84_990, 88_752, 92_682, 96_785, 101_070, 105_545,
        110_218, 115_098, 120_194, 125_515, 131_072,
    ];
    let whole = octaves.div_euclid(256).clamp(-16, 16);
    let part = octaves.rem_euclid(256);
    // `part` is 0 to 255, so the place is 0 to 15.
    let place = usize::try_from(part / 16).unwrap_or_default();
    let (low, high) = (SIXTEENTHS[place], SIXTEENTHS[place + 1]);
    let value = low + (high - low) * (part % 16) / 16;
    if whole >= 0 { value << whole } else { value >> -whole }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_two_agree_with_floating_point() {
        for octaves in (-1024..=2048).step_by(7) {
            let exact = (octaves as f64 / 256.0).exp2() * 65_536.0;
            let found = exp2(octaves) as f64;
            assert!((found / exact - 1.0).abs() < 0.001, "{octaves}: {found} for {exact}");
        }
    }

    #[test]
    fn a_sequence_never_changes_under_a_seed() {
        let mut chance = Chance::of(7, Lane::Transaction, 11);
        let first: Vec<u64> = (0..3).map(|_| chance.below(1_000_000)).collect();
        assert_eq!(first, [34_466, 338_713, 736_991], "every seed quoted anywhere depends on these");
    }

    #[test]
    fn the_numbers_are_those_of_splitmix64() {
        let mut chance = Chance(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| chance.bits()).collect();
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn delays_keep_their_median_and_have_a_long_tail() {
        let mut chance = Chance::of(1, Lane::Transaction, 1);
        let mut delays: Vec<i64> = (0..20_001).map(|_| chance.long_tailed(10_000, 5)).collect();
        delays.sort_unstable();
        let median = delays[10_000];
        assert!((9_000..11_000).contains(&median), "{median}");
        assert!(delays[19_800] > 5 * median, "the slowest in a hundred take {} ms", delays[19_800]);
        assert!(delays[0] >= 1);
    }

    #[test]
    fn weights_are_kept() {
        let mut chance = Chance::of(3, Lane::Household, 9);
        let mut found = [0u32; 3];
        for _ in 0..30_000 {
            found[chance.weighted([1, 0, 2].into_iter())] += 1;
        }
        assert_eq!(found[1], 0);
        assert!((9_400..10_600).contains(&found[0]), "{found:?}");
    }
}
