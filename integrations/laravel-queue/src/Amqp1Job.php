<?php

declare(strict_types=1);

namespace Amqp1\Laravel;

use Amqp1\Task;
use Illuminate\Container\Container;
use Illuminate\Contracts\Queue\Job as JobContract;
use Illuminate\Queue\Jobs\Job;

/**
 * A job that a worker has in hand. Attempts are those that the broker counts, so they include the ones of workers that
 * were killed.
 */
class Amqp1Job extends Job implements JobContract
{
    /** @var array<string, mixed>|null */
    private ?array $decoded = null;

    /** Whether fail() is under way, which settles the job when the failure is recorded. */
    private bool $isFailing = false;

    /** What the job's own method failed() threw. */
    private ?\Throwable $thrownByFailed = null;

    /**
     * @param string $connectionName
     * @param string $queue
     */
    public function __construct(Container $container, private Amqp1Queue $amqp1, private Task $task, $connectionName, $queue)
    {
        $this->container = $container;
        $this->connectionName = $connectionName;
        $this->queue = $queue;
    }

    /** @return string */
    public function getJobId()
    {
        return $this->task->getId();
    }

    /** @return string */
    public function getRawBody()
    {
        return $this->task->getBody();
    }

    /**
     * Decoded once: Laravel asks for it a dozen times a job.
     *
     * @return array<string, mixed>
     */
    public function payload()
    {
        if ($this->decoded === null) {
            $decoded = json_decode($this->getRawBody(), true);
            $this->decoded = is_array($decoded) ? $decoded : [];
        }

        return $this->decoded;
    }

    /** @return int 1 for the first attempt */
    public function attempts()
    {
        return $this->task->getAttempts();
    }

    /**
     * @return void
     *
     * @throws \Amqp1\Exception\TaskLostException the job's connection or lock was lost, so that it will be delivered again
     */
    public function delete()
    {
        parent::delete();
        if (!$this->isFailing) {
            $this->task->ack();
        }
    }

    /**
     * @param \DateTimeInterface|\DateInterval|int $delay
     *
     * @return void
     *
     * @throws \Amqp1\Exception\ExceptionInterface the broker cannot delay, or did not answer; the job is delivered again
     */
    public function release($delay = 0)
    {
        parent::release($delay);
        $this->task->release(max(0, $this->secondsUntil($delay)));
    }

    /**
     * Fails the job. It leaves the queue when the failure is recorded (failed_jobs), not before. If it cannot be recorded,
     * the job goes to the queue's failed queue at the broker.
     *
     * @param \Throwable|null $e
     *
     * @return void
     */
    public function fail($e = null)
    {
        $this->isFailing = true;
        $this->thrownByFailed = null;
        try {
            parent::fail($e);
        } catch (\Throwable $notRecorded) {
            $this->task->deadLetter($e ?? 'failed');

            throw $notRecorded;
        } finally {
            $this->isFailing = false;
        }
        $this->task->ack();
        if ($this->thrownByFailed !== null) {
            throw $this->thrownByFailed;
        }
    }

    /** The extension's job, for its headers and properties. Laravel settles it. */
    public function getTask(): Task
    {
        return $this->task;
    }

    public function getAmqp1Queue(): Amqp1Queue
    {
        return $this->amqp1;
    }

    /**
     * @param \Throwable|null $e
     *
     * @return void
     */
    protected function failed($e)
    {
        try {
            parent::failed($e);
        } catch (\Throwable $thrown) {
            // The failure is recorded all the same.
            $this->thrownByFailed = $thrown;
        }
    }
}
