//! Guests and links made of numbers: what the model makes of them.

use std::time::Duration;

use super::*;

/// A guest that rewrites its working set, and a link.
struct Scene {
    memory_bytes: f64,
    working_set_bytes: f64,
    /// Of the working set, at full speed.
    dirty_bytes_per_s: f64,
    link_bytes_per_s: f64,
}

const SCENE: Scene = Scene { memory_bytes: 1e9, working_set_bytes: 4e8, dirty_bytes_per_s: 5e7, link_bytes_per_s: 1e8 };

const SETTINGS: Settings = Settings {
    downtime_limit_ms: 300,
    downtime_limit_max_ms: 0,
    avail_switchover_bandwidth: 0,
    throttle: None,
    dirty_limit_mb_per_s: None,
    total_time_limit_ms: 0,
};

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum End {
    SwitchedOver { rounds: u32, pause_ms: u64 },
    Overtime { after_ms: u64 },
    Never { is_stalled: bool },
}

impl Scene {
    /// What is dirty after `seconds` at a part of full speed: each page is dirtied once.
    fn dirtied(&self, seconds: f64, speed: f64) -> f64 {
        (self.dirty_bytes_per_s * speed * seconds).min(self.working_set_bytes)
    }

    fn run(&self, settings: &Settings) -> (End, Convergence, u8) {
        let (mut model, mut throttle) = (Convergence::default(), 0_u8);
        let (mut now, mut to_send) = (0.0, self.memory_bytes);
        for rounds in 1..=500 {
            let took = to_send / self.link_bytes_per_s;
            now += took;
            let time = Duration::from_secs_f64(now);
            if model.is_overtime(settings, time) {
                return (End::Overtime { after_ms: to_u64(now * 1000.0) }, model, throttle);
            }
            let dirty = self.dirtied(took, 1.0 - f64::from(throttle) / 100.0);
            let round = Round {
                end: time,
                took: Duration::from_secs_f64(took),
                bytes: to_u64(to_send),
                content_pages: to_u64(to_send / 4096.0),
                dirty_pages: to_u64(dirty / 4096.0),
                remaining_bytes: to_u64(dirty),
            };
            match model.round(settings, round) {
                Decision::SwitchOver => {
                    let pause_ms = to_u64(dirty * 1000.0 / self.link_bytes_per_s);
                    return (End::SwitchedOver { rounds, pause_ms }, model, throttle);
                }
                Decision::Continue { throttle: Some(ThrottleStep::Percent(percent)) } => throttle = percent,
                // What a limit on the vCPUs' own rates does is not modelled.
                Decision::Continue { throttle: None | Some(ThrottleStep::DirtyLimit(_)) } => {}
            }
            to_send = dirty;
        }
        (End::Never { is_stalled: model.is_stalled() }, model, throttle)
    }
}

#[test]
fn a_guest_slower_than_the_link_converges_within_the_limit() {
    // Each round is half of the one before: 400, 200, 100, 50, 25 MB.
    assert_eq!(SCENE.run(&SETTINGS).0, End::SwitchedOver { rounds: 5, pause_ms: 250 });
    let settings = Settings { downtime_limit_ms: 30, ..SETTINGS };
    let (End::SwitchedOver { rounds, pause_ms }, ..) = SCENE.run(&settings) else { panic!() };
    assert!(rounds == 9 && pause_ms <= 30, "{rounds} {pause_ms}");
}

#[test]
fn a_guest_faster_than_the_link_never_does_and_is_called_stalled() {
    let scene = Scene { dirty_bytes_per_s: 2e8, ..SCENE };
    assert_eq!(scene.run(&SETTINGS).0, End::Never { is_stalled: true });
}

#[test]
fn throttling_makes_it_converge_and_goes_no_further_than_needed() {
    let scene = Scene { dirty_bytes_per_s: 2e8, ..SCENE };
    let settings = Settings { throttle: Some(ThrottleParameters::default()), ..SETTINGS };
    let (end, _, percent) = scene.run(&settings);
    assert!(matches!(end, End::SwitchedOver { pause_ms: 0..=300, .. }), "{end:?}");
    assert!((50..=90).contains(&percent), "at half its speed the guest is as fast as the link: {percent}");
}

#[test]
fn throttling_that_may_not_go_far_enough_leaves_the_ramp() {
    let scene = Scene { dirty_bytes_per_s: 1e9, ..SCENE };
    let throttle = Some(ThrottleParameters { max_percent: 30, ..ThrottleParameters::default() });
    let settings = Settings { throttle, ..SETTINGS };
    assert!(matches!(scene.run(&settings).0, End::Never { .. }));
    let (end, model, percent) = scene.run(&Settings { downtime_limit_max_ms: 60_000, ..settings });
    // The working set needs four seconds.
    assert!(matches!(end, End::SwitchedOver { pause_ms: 4000, .. }), "{end:?}");
    assert_eq!((percent, model.limit_ms(&Settings { downtime_limit_max_ms: 60_000, ..settings })), (30, 4800));
}

#[test]
fn the_ramp_has_its_bound() {
    let scene = Scene { dirty_bytes_per_s: 1e9, ..SCENE };
    let settings = Settings { downtime_limit_max_ms: 3000, ..SETTINGS };
    let (end, model, _) = scene.run(&settings);
    assert_eq!((end, model.limit_ms(&settings)), (End::Never { is_stalled: true }, 3000));
    let from_nothing = Settings { downtime_limit_ms: 0, downtime_limit_max_ms: 5000, ..SETTINGS };
    assert!(matches!(scene.run(&from_nothing).0, End::SwitchedOver { .. }));
}

#[test]
fn time_runs_out_where_it_is_limited() {
    let scene = Scene { dirty_bytes_per_s: 2e8, ..SCENE };
    let (end, ..) = scene.run(&Settings { total_time_limit_ms: 20_000, ..SETTINGS });
    assert!(matches!(end, End::Overtime { after_ms: 20_000..24_500 }), "{end:?}");
    let (end, ..) = SCENE.run(&Settings { total_time_limit_ms: 20_000, ..SETTINGS });
    assert!(matches!(end, End::SwitchedOver { .. }), "one that is done by then is left alone: {end:?}");
}

#[test]
fn a_bandwidth_that_is_given_counts_and_not_the_measured_one() {
    let scene = Scene { dirty_bytes_per_s: 2e8, ..SCENE };
    // The last pages will have a link of their own.
    let settings = Settings { avail_switchover_bandwidth: 2_000_000_000, ..SETTINGS };
    assert!(matches!(scene.run(&settings).0, End::SwitchedOver { rounds: 1, .. }));
    let settings = Settings { avail_switchover_bandwidth: 10_000_000, ..SETTINGS };
    let (End::SwitchedOver { rounds, .. }, ..) = SCENE.run(&settings) else { panic!() };
    assert!(rounds > 7, "only a tenth of what was measured: {rounds}");
}

#[test]
fn a_burst_does_not_make_the_link_fast() {
    let mut model = Convergence::default();
    let ms = Duration::from_millis;
    let first = Round {
        end: ms(10_000),
        took: ms(10_000),
        bytes: 1_000_000_000,
        content_pages: 240_000,
        dirty_pages: 20_000,
        remaining_bytes: 80_000_000,
    };
    assert_eq!(model.round(&SETTINGS, first), Decision::Continue { throttle: None });
    // A megabyte into an empty buffer, at ten times the link's rate.
    let burst = Round { end: ms(10_001), took: ms(1), bytes: 1_000_000, remaining_bytes: 60_000_000, ..first };
    assert_eq!(model.round(&SETTINGS, burst), Decision::Continue { throttle: None });
}

#[test]
fn before_the_first_round_ends_what_was_sent_so_far_counts() {
    let model = Convergence::default();
    let second = Duration::from_secs(1);
    assert_eq!(model.threshold_bytes(&SETTINGS, Duration::ZERO, 0), 0);
    assert_eq!(model.threshold_bytes(&SETTINGS, second, 100_000_000), 30_000_000);
    assert_eq!(model.expected_downtime_ms(&SETTINGS), None);
}

#[test]
fn a_long_round_is_broken_off_where_the_throttle_needs_to_see() {
    let throttled = Settings { throttle: Some(ThrottleParameters::default()), ..SETTINGS };
    let mut model = Convergence::default();
    assert!(!model.wants_sync(&throttled, Duration::from_secs(60)), "not in the first pass");
    let took = Duration::from_secs(60);
    let round =
        Round { end: took, took, bytes: 1 << 30, content_pages: 0, dirty_pages: 1 << 18, remaining_bytes: 1 << 30 };
    model.round(&throttled, round);
    assert!(!model.wants_sync(&throttled, Duration::from_secs(64)));
    assert!(model.wants_sync(&throttled, Duration::from_secs(65)));
    assert!(!model.wants_sync(&SETTINGS, Duration::from_secs(65)));
}
