<?php

declare(strict_types=1);

namespace Amqp1\RoadRunner;

use Amqp1\Exception\ExceptionInterface;
use Spiral\RoadRunner\Jobs\Exception\JobsException;
use Spiral\RoadRunner\Jobs\JobsInterface;
use Spiral\RoadRunner\Jobs\OptionsInterface;
use Spiral\RoadRunner\Jobs\Queue\CreateInfoInterface;
use Spiral\RoadRunner\Jobs\QueueInterface;

/** The pipelines of a configuration, in place of Spiral\RoadRunner\Jobs\Jobs. */
final class Jobs implements JobsInterface
{
    private readonly \Amqp1\Jobs $jobs;

    /**
     * @param \Amqp1\Jobs|array<string, mixed>|string|null $config What new \Amqp1\Jobs() accepts: an array, a path such as
     *     ".rr.yaml", or null for the default configuration.
     *
     * @throws \Amqp1\Exception\ConfigException as new \Amqp1\Jobs()
     */
    public function __construct(#[\SensitiveParameter] \Amqp1\Jobs|array|string|null $config = null)
    {
        $this->jobs = $config instanceof \Amqp1\Jobs ? $config : new \Amqp1\Jobs($config);
    }

    /** @throws JobsException the pipeline does not exist */
    public function connect(string $queue, ?OptionsInterface $options = null): QueueInterface
    {
        return Failure::rethrown(fn () => new Queue($this->jobs->create($queue), $options));
    }

    /**
     * Adds a pipeline for this process, at the address of the configuration's section "amqp1".
     *
     * @throws JobsException the name is taken, or the driver is none of AMQP
     */
    public function create(CreateInfoInterface $info, ?OptionsInterface $options = null): QueueInterface
    {
        return Failure::rethrown(fn () => new Queue($this->jobs->add($info->getName(), ['config' => Declaration::of($info)]), $options));
    }

    /** Pauses queues for the consumers of this object, in this process. */
    public function pause(QueueInterface|string $queue, QueueInterface|string ...$queues): void
    {
        Failure::rethrown(fn () => $this->jobs->pause(...self::names($queue, ...$queues)));
    }

    public function resume(QueueInterface|string $queue, QueueInterface|string ...$queues): void
    {
        Failure::rethrown(fn () => $this->jobs->resume(...self::names($queue, ...$queues)));
    }

    /** @return \Generator<string, QueueInterface> */
    public function getIterator(): \Generator
    {
        try {
            foreach ($this->jobs as $name => $queue) {
                yield $name => new Queue($queue);
            }
        } catch (ExceptionInterface $e) {
            throw Failure::of($e);
        }
    }

    public function count(): int
    {
        return count($this->jobs);
    }

    /**
     * A consumer of these pipelines: those of the configuration's jobs.consume, or the ones named here.
     *
     * @param array<string, mixed> $options As new Consumer().
     */
    public function consume(array $options = [], string ...$pipelines): Consumer
    {
        $queues = array_map($this->jobs->create(...), array_values($pipelines));

        return new Consumer($queues ?: $this->jobs, $options);
    }

    /** @return list<string> */
    private static function names(QueueInterface|string ...$queues): array
    {
        return array_map(static fn ($queue) => $queue instanceof QueueInterface ? $queue->getName() : $queue, array_values($queues));
    }
}
