<?php

// Amqp1\metrics(): see amqp1.stub.php.

namespace Amqp1;

/**
 * The figures of this process, since it began. It asks no broker, and starts nothing.
 *
 * A forked child starts from zero. The first 64 queues are counted separately, by name and
 * endpoint; all others together, under "*". A queue appears with its first use.
 *
 * Of a queue:
 * - pushed: jobs of push(), pushMany(), schedule() and requests, and replies to its jobs; jobs of pushMany() once it ends.
 *   confirmed, and failed by kind of error: what came of them.
 * - received: jobs that workers received. redelivered: of these, with getAttempts() above 1.
 * - settled: jobs by outcome, as in Task::getOutcome(). Includes jobs that the extension itself moved to
 *   the failed queue. lost: jobs that could not be settled. abandoned: jobs that PHP freed without
 *   settling them.
 * - in_hand: jobs that workers have now. buffered: jobs that wait for them in this process now.
 * - push_seconds: how long the calls push(), pushMany() and schedule() took. held_seconds: the time from
 *   receiving a job to settling it.
 *
 * Of all connections: open now; opened; of these, reopened after a loss; lost; failed: attempts to
 * connect that were given up; locks_renewed and locks_lost (Service Bus); taken_back: jobs that
 * the broker took back from a worker; blocked_seconds: how long pushes waited because the broker
 * accepted no jobs.
 *
 * Of all requests: sent; of these, answered and timed_out; late: replies that arrived and that no request
 * waited for (any more). Replies are received as the queue "(replies)".
 *
 * The buckets of a histogram are cumulative, as in Prometheus; "+Inf" is count. For their names in
 * the metrics of a worker, see docs/monitoring.md.
 *
 * @return array{
 *     queues: list<array{
 *         queue: string,
 *         endpoint: string,
 *         pushed: int,
 *         confirmed: int,
 *         failed: array<string, int>,
 *         received: int,
 *         redelivered: int,
 *         settled: array<string, int>,
 *         lost: int,
 *         abandoned: int,
 *         in_hand: int,
 *         buffered: int,
 *         push_seconds: array{buckets: list<array{le: float, count: int}>, count: int, sum: float},
 *         held_seconds: array{buckets: list<array{le: float, count: int}>, count: int, sum: float},
 *     }>,
 *     connections: array{
 *         open: int,
 *         opened: int,
 *         reopened: int,
 *         lost: int,
 *         failed: int,
 *         locks_renewed: int,
 *         locks_lost: int,
 *         taken_back: int,
 *         blocked_seconds: float,
 *     },
 *     requests: array{sent: int, answered: int, timed_out: int, late: int},
 * }
 */
function metrics(): array
{
}
