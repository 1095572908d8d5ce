<?php

// Amqp1\Jobs: see amqp1.stub.php.

namespace Amqp1;

/**
 * The pipelines of a configuration in RoadRunner's format. Each pipeline is a named AmqpQueue.
 *
 * It does not connect until a queue is used. It cannot be cloned or serialized, and
 * var_dump() and traces show nothing of its configuration.
 *
 * `foreach ($jobs as $name => $queue)` iterates over all pipelines of the driver "amqp1".
 *
 * @phpstan-import-type Broker from AmqpQueue
 *
 * @implements \IteratorAggregate<string, AmqpQueue>
 */
final class Jobs implements \IteratorAggregate, \Countable
{
    /**
     * Reads and checks a configuration. docs/configuration.md lists the keys.
     *
     * Strings can contain ${VARIABLE} and ${VARIABLE:-default}, which are read from the process's
     * environment, $_ENV or $_SERVER. A file is parsed again only if it has changed.
     *
     * A key that the broker cannot honour raises an E_WARNING, once per process.
     *
     * @param array<string, mixed>|string|null $config An array; the path of a YAML or JSON
     *     file of at most 1 MiB (.yaml, .yml, .json; any other file is recognised by its
     *     content); or null for the file that the environment variable AMQP1_CONFIG names or,
     *     if it is not set, amqp1.config in php.ini. Left out of traces.
     *
     * @throws Exception\ConfigException no configuration, an unreadable file, or a wrong value,
     *     with the path of its key; for an unknown key, the nearest known one is suggested
     * @throws \Error if called again on a constructed object
     */
    public function __construct(#[\SensitiveParameter] array|string|null $config = null)
    {
    }

    /**
     * Returns the queue of a pipeline. Its getName() is the pipeline's name. It connects on first use.
     *
     * @throws Exception\ConfigException the pipeline does not exist (the nearest name is suggested) or
     *     belongs to another driver, it has no address, or a TLS file cannot be used
     */
    public function create(string $pipeline): AmqpQueue
    {
    }

    /**
     * The same as create().
     *
     * @throws Exception\ConfigException as create()
     */
    public function connect(string $pipeline): AmqpQueue
    {
    }

    /**
     * Adds a pipeline and returns its queue, as create() does from then on.
     *
     * The pipeline has the address and the options of this configuration's section "amqp1", and the same keys, checks and
     * warnings as one of the configuration. It belongs to this object: other Jobs objects, and consumers that
     * exist already, do not know it. If the configuration has "jobs.consume", new Consumer($jobs) serves only
     * what that names: pass the queue to a consumer.
     *
     * @param array{driver?: 'amqp1'|null, config?: array<string, mixed>|null} $pipeline As under jobs.pipelines, for
     *     example ['config' => ['queue' => 'orders.eu', 'prefetch' => 10]].
     *
     * @throws Exception\ConfigException the name is taken, another driver, a wrong or unknown key, with its path; and as create()
     */
    public function add(string $name, array $pipeline): AmqpQueue
    {
    }

    /**
     * Pauses pipelines for the consumers of this object's queues: they request no more jobs of
     * them, and return those that were not handed out. Other consumers continue, including
     * those of another Jobs object and of other processes. The same as AmqpQueue::pause() for each.
     *
     * @param string ...$pipelines At least one.
     *
     * @throws Exception\ConfigException as create(); no pipeline is paused then
     */
    public function pause(string ...$pipelines): void
    {
    }

    /**
     * Resumes paused pipelines. A consumer that is waiting notices within 50 ms.
     *
     * @param string ...$pipelines At least one.
     *
     * @throws Exception\ConfigException as create(); no pipeline is resumed then
     */
    public function resume(string ...$pipelines): void
    {
    }

    /**
     * Whether a pipeline is paused, by pause() or by its queue's pause().
     *
     * @throws Exception\ConfigException as create()
     */
    public function isPaused(string $pipeline): bool
    {
    }

    /**
     * Returns the figures of each pipeline, as AmqpQueue::stats() does. If they are not available,
     * all of them are null and "error" says why. A broker that cannot be reached is asked only once.
     *
     * @return array<string, array{
     *     active: int<0, max>|null,
     *     delayed: int<0, max>|null,
     *     ready: int<0, max>|null,
     *     reserved: int<0, max>|null,
     *     consumers: int<0, max>|null,
     *     broker: Broker|null,
     *     error?: string,
     * }> by pipeline
     */
    public function stats(): array
    {
    }

    /**
     * Whether there are pipelines and the brokers of all of them answer, each within its timeout.
     */
    public function isAvailable(): bool
    {
    }

    /**
     * The number of pipelines of the driver "amqp1".
     *
     * @return int<0, max>
     */
    public function count(): int
    {
    }

    /**
     * Iterates over pipeline name => queue, in the order of the configuration.
     *
     * @return \Iterator<string, AmqpQueue>
     *
     * @throws Exception\ConfigException as create()
     */
    public function getIterator(): \Iterator
    {
    }
}
