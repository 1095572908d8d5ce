<?php

declare(strict_types=1);

namespace Amqp1\OpenTelemetry;

use Amqp1\NullObserver;
use Amqp1\Observation\Job;
use Amqp1\Observation\Push;
use Amqp1\Task;
use OpenTelemetry\API\Metrics\MeterProviderInterface;
use OpenTelemetry\API\Trace\TracerProviderInterface;
use OpenTelemetry\Context\Propagation\TextMapPropagatorInterface;

/**
 * Spans and metrics of jobs by OpenTelemetry's conventions for messaging, and their context in the jobs' headers.
 *
 *     $tracing = Tracing::install();
 *     $worker->middleware($tracing);
 *
 * Without the package open-telemetry/api it does nothing.
 */
final class Tracing extends NullObserver
{
    private readonly ?Pushing $pushing;
    private readonly ?Consuming $consuming;

    /**
     * For the option 'observer' of a queue, or for setObserver(). Null stands for the global provider or propagator.
     *
     * @param Options|array<string, mixed> $options
     *
     * @throws \Amqp1\Exception\ConfigException an option that cannot be used
     */
    public function __construct(
        Options|array $options = [],
        ?TracerProviderInterface $tracerProvider = null,
        ?MeterProviderInterface $meterProvider = null,
        ?TextMapPropagatorInterface $propagator = null,
    ) {
        $options = Options::from($options);
        if (!interface_exists(TracerProviderInterface::class)) {
            $this->pushing = $this->consuming = null;

            return;
        }
        $telemetry = new Telemetry($tracerProvider, $meterProvider, $propagator, $options);
        $this->consuming = new Consuming($telemetry);
        $this->pushing = new Pushing($telemetry, $this->consuming);
    }

    /**
     * Observes all queues of this process, next to an observer that is set already.
     *
     * @param Options|array<string, mixed> $options
     *
     * @throws \Amqp1\Exception\ConfigException an option that cannot be used
     */
    public static function install(Options|array $options = []): self
    {
        $tracing = new self($options);
        if ($tracing->pushing !== null) {
            $earlier = \Amqp1\setObserver($tracing);
            if ($earlier !== null) {
                \Amqp1\setObserver(new Observers($earlier, $tracing));
            }
        }

        return $tracing;
    }

    /**
     * Runs a handler in a `process` span.
     *
     * @template T
     *
     * @param Task|list<Task> $job
     * @param callable(Task|list<Task>): T $handler
     *
     * @return T what the handler returns
     *
     * @throws \Throwable what the handler throws
     */
    public function process(Task|array $job, callable $handler): mixed
    {
        return $this->consuming === null || $job === [] ? $handler($job) : $this->consuming->process($job, $handler);
    }

    /**
     * As a middleware of Amqp1\Worker.
     *
     * @param Task|list<Task> $job
     */
    public function __invoke(Task|array $job, callable $next): mixed
    {
        return $this->process($job, $next);
    }

    public function beforePush(Push $push): void
    {
        $this->pushing?->before($push);
    }

    public function afterPush(Push $push): void
    {
        $this->pushing?->after($push);
    }

    public function received(Job $job): void
    {
        $this->consuming?->received($job);
    }

    public function settled(Job $job): void
    {
        $this->consuming?->settled($job);
    }
}
