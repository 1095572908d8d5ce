<?php

declare(strict_types=1);

namespace Amqp1\Worker;

use Amqp1\TaskInterface;
use Throwable;

/**
 * What a Worker tells its listeners and its dispatcher. Each event is a class of its own, below Amqp1\Worker\Event.
 */
abstract class Event
{
    /** What listen() calls it: one of the constants that follow. */
    public const NAME = '';

    /** Before the first job is taken. */
    public const START = 'worker.start';

    /** A wait for a job (reserveTimeout) ended without one. */
    public const IDLE = 'worker.idle';

    /** The broker is lost; the worker goes on trying. $error says why. */
    public const LOST = 'worker.lost';

    /** run() ends. $summary is set. */
    public const STOP = 'worker.stop';

    /** A job is handed to its handler. */
    public const JOB_START = 'job.start';

    /** Done. */
    public const JOB_ACK = 'job.ack';

    /** Failed, and comes again. */
    public const JOB_RETRY = 'job.retry';

    /** Failed for good: it is in the failed queue, or rejected. */
    public const JOB_DEAD_LETTER = 'job.dead_letter';

    /** Without a handler, and deleted (unknownJob: delete); or discarded by its handler. */
    public const JOB_DROPPED = 'job.dropped';

    /** Given back to its queue, or deferred. */
    public const JOB_RELEASED = 'job.released';

    /** It could not be settled, or is lost while its handler still works: it is delivered again. */
    public const JOB_LOST = 'job.lost';

    public const ALL = [
        self::START, self::IDLE, self::LOST, self::STOP, self::JOB_START, self::JOB_ACK, self::JOB_RETRY,
        self::JOB_DEAD_LETTER, self::JOB_DROPPED, self::JOB_RELEASED, self::JOB_LOST,
    ];

    public readonly string $name;

    /**
     * @param TaskInterface|null $task With job events.
     * @param Throwable|null $error Why a job failed or was lost, or the broker.
     * @param float|null $seconds How long its handler took; with the events that end a job.
     * @param Summary|null $summary With worker.stop.
     */
    protected function __construct(
        public readonly ?TaskInterface $task = null,
        public readonly ?Throwable $error = null,
        public readonly ?float $seconds = null,
        public readonly ?Summary $summary = null,
    ) {
        $this->name = static::NAME;
    }
}
