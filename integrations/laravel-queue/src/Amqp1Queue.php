<?php

declare(strict_types=1);

namespace Amqp1\Laravel;

use Amqp1\AmqpQueue;
use Amqp1\Consumer;
use Amqp1\Exception\BatchException;
use Amqp1\Exception\UnsupportedException;
use Amqp1\PeekedTask;
use Amqp1\Task;
use Illuminate\Contracts\Queue\ClearableQueue;
use Illuminate\Contracts\Queue\Queue as QueueContract;
use Illuminate\Queue\Queue;

/** A queue connection of Laravel over AMQP 1.0. Its payloads are Laravel's own JSON. */
class Amqp1Queue extends Queue implements QueueContract, ClearableQueue
{
    /** How many jobs are looked at in one go, and at most, for the oldest one. */
    private const PAGE = 100;
    private const PAGES = 100;

    /** @var array<string, AmqpQueue> by name */
    private array $queues = [];

    private ?Reception $reception = null;

    /** @throws \Amqp1\Exception\ConfigException the DSN or an option is wrong */
    public function __construct(private Configuration $settings)
    {
        $this->dispatchAfterCommit = $settings->afterCommit;
        // Checks all options. Nothing is dialled.
        foreach ($this->configuredQueues() as $name) {
            new Consumer($this->amqpQueue($name), ['max_attempts' => 0] + $settings->consumer);
        }
    }

    /**
     * The number of jobs that are ready, delayed or in hand, as far as the broker counts them.
     *
     * @param string|\UnitEnum|null $queue
     *
     * @return int
     *
     * @throws UnsupportedException the broker counts nothing (RabbitMQ 3, ActiveMQ Classic)
     */
    public function size($queue = null)
    {
        return $this->amqpQueue($queue)->stats()['active'];
    }

    /**
     * @param string|\UnitEnum|null $queue
     *
     * @return int
     */
    public function pendingSize($queue = null)
    {
        return $this->amqpQueue($queue)->stats()['ready'];
    }

    /**
     * @param string|\UnitEnum|null $queue
     *
     * @return int|null null if the broker does not count them
     */
    public function delayedSize($queue = null)
    {
        return $this->amqpQueue($queue)->stats()['delayed'];
    }

    /**
     * @param string|\UnitEnum|null $queue
     *
     * @return int|null null if the broker does not count them
     */
    public function reservedSize($queue = null)
    {
        return $this->amqpQueue($queue)->stats()['reserved'];
    }

    /**
     * @param string|\UnitEnum|null $queue
     *
     * @return int|null null if there is none, or if the broker shows no job without delivering it (RabbitMQ)
     */
    public function creationTimeOfOldestPendingJob($queue = null)
    {
        $from = 0;
        for ($page = 0; $page < self::PAGES; $page++) {
            try {
                $jobs = $this->amqpQueue($queue)->peek(self::PAGE, $from);
            } catch (UnsupportedException) {
                return null;
            }
            foreach ($jobs as $job) {
                if ($job->getState() === 'active') {
                    return self::createdAt($job);
                }
            }
            if (count($jobs) < self::PAGE) {
                return null;
            }
            $from = end($jobs)->getSequenceNumber() + 1;
        }

        return null;
    }

    /**
     * @param string|object $job
     * @param mixed $data
     * @param string|\UnitEnum|null $queue
     *
     * @return mixed the job's id, or null if it is pushed when the transaction is committed
     */
    public function push($job, $data = '', $queue = null)
    {
        return $this->enqueueUsing(
            $job,
            $this->createPayload($job, $this->getQueue($queue), $data),
            $queue,
            null,
            fn ($payload, $queue) => $this->pushRaw($payload, $queue)
        );
    }

    /**
     * @param string $payload
     * @param string|\UnitEnum|null $queue
     * @param array<string, mixed> $options of Amqp1\AmqpQueue::push()
     *
     * @return string the job's id
     *
     * @throws \Amqp1\Exception\ExceptionInterface the broker did not confirm the job
     */
    public function pushRaw($payload, $queue = null, array $options = [])
    {
        $job = Payload::job($payload, $options);

        return $this->amqpQueue($queue)->push($job['name'], $payload, $job['options']);
    }

    /**
     * @param \DateTimeInterface|\DateInterval|int $delay
     * @param string|object $job
     * @param mixed $data
     * @param string|\UnitEnum|null $queue
     *
     * @return mixed as push()
     */
    public function later($delay, $job, $data = '', $queue = null)
    {
        return $this->enqueueUsing(
            $job,
            // The delay is a parameter from Laravel 12 on.
            $this->createPayload($job, $this->getQueue($queue), $data, $delay),
            $queue,
            $delay,
            fn ($payload, $queue, $delay) => $this->pushRaw($payload, $queue, ['delay' => $this->secondsUntil($delay)])
        );
    }

    /**
     * Sends the jobs together: it waits for the broker once, not once for each of them.
     *
     * @param array<string|object> $jobs
     * @param mixed $data
     * @param string|\UnitEnum|null $queue
     *
     * @return void
     *
     * @throws BatchException some jobs were not confirmed
     */
    public function bulk($jobs, $data = '', $queue = null)
    {
        $together = [];
        foreach ((array) $jobs as $job) {
            $delay = $this->delayOf($job);
            if (!$this->shouldDispatchAfterCommit($job) || !$this->container->bound('db.transactions')) {
                $together[] = [$job, $delay];
            } elseif ($delay === null) {
                $this->push($job, $data, $queue);
            } else {
                $this->later($delay, $job, $data, $queue);
            }
        }
        if ($together !== []) {
            $this->pushTogether($together, $data, $queue);
        }
    }

    /**
     * @param string|\UnitEnum|null $queue
     * @param int|null $index the queue's place in --queue (Laravel 12 and later)
     *
     * @return Amqp1Job|null
     *
     * @throws \Amqp1\Exception\ExceptionInterface
     */
    public function pop($queue = null, $index = null)
    {
        $name = $this->getQueue($queue);
        $this->reception ??= new Reception($this->settings, $this->container);
        $class = $this->settings->job;

        return $this->reception->next(
            $name,
            $this->amqpQueue($name),
            $index,
            fn (Task $task) => new $class($this->container, $this, $task, $this->connectionName, $name)
        );
    }

    /**
     * Removes the jobs that are ready; on RabbitMQ, delayed jobs stay.
     *
     * @param string|\UnitEnum|null $queue
     *
     * @return int how many
     */
    public function clear($queue)
    {
        return $this->amqpQueue($queue)->purge();
    }

    /**
     * Sends what is settled, and returns what is not. A worker's end does it.
     */
    public function close(): void
    {
        $this->reception?->close();
        $this->reception = null;
    }

    /**
     * @param string|\UnitEnum|null $queue
     *
     * @return string its name at the broker
     */
    public function getQueue($queue)
    {
        $name = match (true) {
            $queue instanceof \BackedEnum => (string) $queue->value,
            $queue instanceof \UnitEnum => $queue->name,
            default => (string) $queue,
        };
        $name = $name === '' ? $this->settings->queue : $name;

        // Laravel 13 can forward a queue to another one.
        return method_exists($this, 'resolveQueue') && $this->container !== null ? $this->resolveQueue($name) : $name;
    }

    /**
     * The extension's object for a queue, which does more than Laravel asks for: setup(), failed(), retryFailed(), …
     *
     * @param string|\UnitEnum|null $queue
     */
    public function amqpQueue($queue = null): AmqpQueue
    {
        $name = $this->getQueue($queue);

        return $this->queues[$name] ??= new AmqpQueue($this->settings->dsn, $name, $this->settings->optionsOf($name));
    }

    /** @return list<string> the queues that config/queue.php names: the default one, and those with options of their own */
    public function configuredQueues(): array
    {
        return array_values(array_unique([$this->settings->queue, ...array_map('strval', array_keys($this->settings->queues))]));
    }

    /**
     * @param string|object $job
     * @param string $queue
     * @param mixed $data
     *
     * @return array<string, mixed>
     */
    protected function createPayloadArray($job, $queue, $data = '')
    {
        $payload = parent::createPayloadArray($job, $queue, $data);
        // In the payload, they last for queue:retry.
        $options = is_object($job) && method_exists($job, 'amqp1Options') ? $job->amqp1Options() : [];

        return $options === [] ? $payload : $payload + [Payload::OPTIONS => $options];
    }

    /** @param non-empty-list<array{string|object, mixed}> $jobs each with its delay */
    private function pushTogether(array $jobs, mixed $data, mixed $queue): void
    {
        $name = $this->getQueue($queue);
        $payloads = [];
        $send = function () use ($jobs, $data, $queue, $name, &$payloads) {
            foreach ($jobs as $index => [$job, $delay]) {
                $payload = $payloads[$index] = $this->createPayload($job, $name, $data, $delay);
                $this->announce('raiseJobQueueingEvent', $queue, [], $job, $payload, $delay);
                yield Payload::job($payload, $delay === null ? [] : ['delay' => $this->secondsUntil($delay)])
                    + ['payload' => $payload];
            }
        };
        try {
            $ids = $this->amqpQueue($name)->pushMany($send());
        } catch (BatchException $error) {
            $ids = $error->getConfirmedIds();
        }
        foreach ($ids as $index => $id) {
            [$job, $delay] = $jobs[$index];
            $this->announce('raiseJobQueuedEvent', $queue, [$id], $job, $payloads[$index], $delay);
        }
        if (isset($error)) {
            throw $error;
        }
    }

    /**
     * Raises one of Laravel's events. Its versions differ in what they pass along.
     *
     * @param 'raiseJobQueueingEvent'|'raiseJobQueuedEvent' $method the former from Laravel 10 on
     * @param list<string> $id
     */
    private function announce(string $method, mixed $queue, array $id, mixed $job, string $payload, mixed $delay): void
    {
        static $counts = [];
        $counts[$method] ??= method_exists($this, $method) ? (new \ReflectionMethod($this, $method))->getNumberOfParameters() : 0;
        match ($counts[$method] - count($id)) {
            1 => $this->$method(...$id, ...[$job]),                                // 8 and 9
            2 => $this->$method(...$id, ...[$job, $payload]),                      // 10
            4 => $this->$method($queue, ...$id, ...[$job, $payload, $delay]),      // 11 and later
            default => null,
        };
    }

    private function delayOf(mixed $job): mixed
    {
        if (!is_object($job) || $job instanceof \Closure) {
            return null;
        }
        $attribute = 'Illuminate\Queue\Attributes\Delay';

        // Laravel 13 has an attribute for it.
        return class_exists($attribute) && method_exists($this, 'getAttributeValue')
            ? $this->getAttributeValue($job, $attribute, 'delay')
            : $job->delay ?? null;
    }

    private static function createdAt(PeekedTask $job): ?int
    {
        $payload = json_decode($job->getBody(), true);

        // Laravel has it in its payloads since version 12.
        return is_array($payload) && isset($payload['createdAt'])
            ? (int) $payload['createdAt']
            : $job->getCreationTime()?->getTimestamp();
    }
}
