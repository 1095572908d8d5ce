use super::*;

/// A consumer that processes one job after another, and its clock.
struct Worker {
    pace: Pace,
    now: Instant,
    size: usize,
}

impl Worker {
    fn new() -> Self {
        let mut worker = Self {
            pace: Pace::default(),
            now: Instant::now(),
            size: 256,
        };
        worker.pace.asks(1, worker.now);
        worker
    }

    fn jobs(&mut self, count: u32, time: Duration) -> u32 {
        for _ in 0..count {
            self.pace.hands_out(1, self.size, self.now);
            self.now += time;
            self.pace.asks(1, self.now);
            // A wait is not the job's time.
            self.now += Duration::from_secs(5);
        }
        self.pace.prefetch()
    }
}

const fn micros(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

#[test]
fn it_starts_small_and_doubles_with_each_prefetch_that_was_processed() {
    let mut worker = Worker::new();
    assert_eq!(worker.pace.prefetch(), 4);
    let short = micros(20);
    assert_eq!(worker.jobs(3, short), 4);
    assert_eq!(worker.jobs(1, short), 8);
    assert_eq!(worker.jobs(7, short), 8);
    assert_eq!(worker.jobs(1, short), 16);
    assert_eq!(worker.jobs(16 + 32 + 64 + 128, short), 256);
    assert_eq!(worker.jobs(256, short), MOST);
    assert_eq!(worker.jobs(10_000, Duration::ZERO), MOST);
}

#[test]
fn the_jobs_of_the_prefetch_last_for_a_tenth_of_a_second() {
    for (time, prefetch) in [
        (1_000, 100),
        (10_000, 10),
        (40_000, 2),
        (300_000, 2),
        (999_000, 2),
        (1_000_000, 1),
        (600_000_000, 1),
    ] {
        let mut worker = Worker::new();
        assert_eq!(worker.jobs(1000, micros(time)), prefetch, "{time} µs");
    }
}

#[test]
fn one_long_job_lowers_it_at_once_and_short_ones_raise_it_slowly() {
    let mut worker = Worker::new();
    assert_eq!(worker.jobs(5000, micros(50)), MOST);
    assert_eq!(worker.jobs(1, Duration::from_secs(10)), 1);
    assert_eq!(worker.jobs(10, micros(50)), 1);
    let mut before = 1;
    for jobs in 1..2000 {
        let prefetch = worker.jobs(1, micros(50));
        assert!(prefetch <= 2 * before, "{before} to {prefetch}");
        assert!(jobs > 400 || prefetch < MOST);
        before = prefetch;
    }
    assert_eq!(before, MOST);
}

#[test]
fn long_jobs_among_short_ones_keep_it_low() {
    let mut worker = Worker::new();
    let mut most = 0;
    for round in 0..100 {
        worker.jobs(1, Duration::from_secs(5));
        let prefetch = worker.jobs(20, micros(100));
        if round > 0 {
            most = most.max(prefetch);
        }
    }
    assert!(most <= 2, "{most}");
}

#[test]
fn a_short_hiccup_does_not_lower_it_for_long() {
    let mut worker = Worker::new();
    worker.jobs(5000, micros(50));
    let after = worker.jobs(1, Duration::from_millis(10));
    assert!((10..100).contains(&after), "{after}");
    assert_eq!(worker.jobs(1500, micros(50)), MOST);
}

#[test]
fn large_jobs_lower_it_and_never_below_one() {
    let mut worker = Worker::new();
    worker.jobs(5000, micros(50));
    worker.size = 4 * 1024 * 1024;
    assert_eq!(worker.jobs(1, micros(50)), 3);
    assert_eq!(worker.jobs(20, micros(50)), 2);
    worker.size = 100 * 1024 * 1024;
    assert_eq!(worker.jobs(20, micros(50)), 1);
    worker.size = 256;
    assert_eq!(worker.jobs(5000, micros(50)), MOST);
}

#[test]
fn a_call_for_many_gets_as_many_whatever_they_take() {
    let mut pace = Pace::default();
    let mut now = Instant::now();
    assert!(pace.asks(50, now));
    assert_eq!(pace.prefetch(), 50);
    for _ in 0..20 {
        pace.hands_out(50, 50 * 256, now);
        now += Duration::from_secs(100);
        pace.asks(50, now);
        assert_eq!(pace.prefetch(), 50);
    }
    assert!(pace.asks(1, now));
    assert_eq!(pace.prefetch(), 1);
    pace.asks(u32::MAX, now);
    assert_eq!(pace.prefetch(), MOST);
    pace.hands_out(1, BYTES, now);
    pace.asks(50, now);
    assert!(pace.prefetch() <= 2, "memory matters more");
}

#[test]
fn nothing_changes_while_nothing_is_processed() {
    let mut pace = Pace::default();
    let now = Instant::now();
    for second in 0..100 {
        assert!(!pace.asks(1, now + Duration::from_secs(second)));
        pace.hands_out(0, 0, now);
    }
    assert_eq!(pace.prefetch(), FIRST);
}

#[test]
fn the_queues_of_a_consumer_share_it_by_what_comes_from_them() {
    assert_eq!(share(500, (0, 0), 1), 500);
    assert_eq!(share(500, (7, 7), 1), 500);
    assert_eq!(share(4, (0, 0), 10), 1);
    assert_eq!(share(500, (0, 0), 10), 50);
    assert_eq!(share(500, (500, 500), 10), 500);
    assert_eq!(share(500, (0, 500), 10), 12);
    assert_eq!(share(500, (0, 500), 500), 1);
    assert_eq!(share(1, (1, 2), 2), 1);
    for all in [1u32, 10, 499, 500] {
        for queues in [1, 2, 7, 100] {
            let shares = (0..queues).map(|n| share(500, (u32::from(n == 0) * all, all), queues));
            assert!(shares.sum::<u32>() <= 500 + 125 + queues);
        }
    }
}
