<?php

declare(strict_types=1);

namespace Amqp1\Bench\Clients;

use Amqp1\Bench\Tally;
use Amqp1\Bench\Task;

/** A client as the benchmark uses it. Connecting and attaching belong to the first call, which is not timed. */
interface Client
{
    public function __construct(Task $task);

    /** Publishes one job, and returns once it is confirmed. */
    public function push(int $n): void;

    /** Publishes the jobs from `$from` up to, not including, `$to`; returns once all are confirmed. */
    public function pushMany(int $from, int $to): void;

    /**
     * Takes, reads and acknowledges jobs until the tally is complete. Returns once the broker has every acknowledgement.
     * The tally starts the stopwatch after the first jobs.
     */
    public function consume(Tally $tally): void;
}
