<?php

declare(strict_types=1);

namespace Amqp1\OpenTelemetry;

use Amqp1\Observation\Job;
use Amqp1\Task;
use OpenTelemetry\API\Trace\Span;
use OpenTelemetry\API\Trace\SpanKind;
use OpenTelemetry\Context\Context;
use OpenTelemetry\Context\ContextInterface;
use Throwable;
use WeakMap;

/**
 * `receive` and settling are spans that end when they are reported; `process` spans are around handlers.
 *
 * @internal
 */
final class Consuming
{
    /** Task::getOutcome() => the operation's name. */
    private const NAMES = ['acked' => 'ack', 'retried' => 'nack', 'released' => 'release', 'dead_lettered' => 'dead_letter',
        'rejected' => 'reject', 'discarded' => 'discard', 'deferred' => 'defer'];

    /** @var WeakMap<Task, Known> */
    private WeakMap $known;

    /** @var array<string, Known> by id: jobs that were processed and are not settled yet */
    private array $processed = [];

    public function __construct(private readonly Telemetry $telemetry)
    {
        $this->known = new WeakMap();
    }

    public function received(Job $job): void
    {
        $task = $job->getTask();
        if (isset($this->known[$task])) {
            // The process's observer, and the queue's.
            return;
        }
        $this->known[$task] = new Known($destination = Destination::ofJob($job));
        $attributes = $destination->with('receive', 'receive');
        $waited = (float) $job->getWaited();
        $this->telemetry->metrics()->consumed($attributes);
        $this->telemetry->metrics()->operation($waited, $attributes);
        if (!$this->telemetry->options->receiveSpans) {
            return;
        }
        $builder = $this->telemetry->span("receive $destination->name", SpanKind::KIND_CLIENT, $attributes + self::ofTask($task))
            ->setStartTimestamp(self::ago($waited));
        $creation = $this->telemetry->creation($task->getHeaders());
        if ($creation->span !== null) {
            $builder->addLink($creation->span);
        }
        $builder->startSpan()->end();
    }

    public function settled(Job $job): void
    {
        $task = $job->getTask();
        $known = $this->known[$task] ?? null;
        unset($this->known[$task]);
        if ($known === null) {
            // Reported already, or received before the observer was there.
            return;
        }
        unset($this->processed[$task->getId()]);
        $name = self::NAMES[$job->getOutcome()] ?? 'settle';
        $attributes = $known->destination->with('settle', $name);
        $seconds = (float) $job->getSeconds();
        $error = $job->getError();
        $type = match (true) {
            $error !== null => $error::class,
            $job->getOutcome() === 'lost' => 'lost',
            default => null,
        };
        $this->telemetry->metrics()->operation($seconds, $attributes, $type);
        if (!$this->telemetry->options->settleSpans) {
            return;
        }
        $creation = $this->telemetry->creation($task->getHeaders());
        $builder = $this->telemetry->span("$name {$known->destination->name}", SpanKind::KIND_CLIENT, $attributes + self::ofTask($task))
            ->setStartTimestamp(self::ago($seconds));
        if ($creation->span !== null) {
            $builder->addLink($creation->span);
        }
        if (($parent = $this->parent($known, $creation)) !== null) {
            $builder->setParent($parent);
        }
        $span = $builder->startSpan();
        if ($type !== null) {
            Telemetry::fail($span, $type, $error?->getMessage() ?? 'the job is lost, and will be delivered again');
        }
        $span->end();
    }

    /** @param Task|list<Task> $job */
    public function process(Task|array $job, callable $handler): mixed
    {
        $tasks = is_array($job) ? array_values($job) : [$job];
        $single = is_array($job) ? null : $job;
        $destination = $this->knownOf($tasks[0])->destination;
        $attributes = $destination->with('process', 'process');
        $builder = $this->telemetry->span("process $destination->name", SpanKind::KIND_CONSUMER, $attributes
            + ($single === null ? ['messaging.batch.message_count' => count($tasks)] : $this->ofProcessed($single)));
        $context = $this->connect($builder, $tasks, $single !== null);
        $span = $builder->startSpan();
        $context = $context->withContextValue($span);
        foreach ($tasks as $task) {
            $this->knownOf($task)->process = $context;
        }
        $scope = $context->activate();
        $started = hrtime(true);
        $type = null;
        try {
            return $handler($job);
        } catch (Throwable $e) {
            $type = $e::class;
            $span->recordException($e);
            Telemetry::fail($span, $type, $e->getMessage());

            throw $e;
        } finally {
            $scope->detach();
            $span->end();
            $this->telemetry->metrics()->processed((hrtime(true) - $started) / 1e9, $attributes, $type);
            foreach ($tasks as $task) {
                if (!$task->isCompleted()) {
                    $this->processed[$task->getId()] = $this->knownOf($task);
                }
            }
            // A job that nobody settles is not reported.
            $this->processed = array_slice($this->processed, -1000, null, true);
        }
    }

    /** The context for a span about a job, or null for the current one. */
    public function parentOf(string $id, Creation $creation): ?ContextInterface
    {
        return $this->parent($this->processed[$id] ?? null, $creation);
    }

    private function parent(?Known $known, Creation $creation): ?ContextInterface
    {
        return match (true) {
            Telemetry::hasActive() => null,
            $known?->process !== null => $known->process,
            $creation->span !== null && $this->telemetry->options->parent !== Options::PARENT_LINK => $creation->context,
            default => null,
        };
    }

    /**
     * Decides about the parent and the links of a `process` span.
     *
     * @param \OpenTelemetry\API\Trace\SpanBuilderInterface $builder
     * @param list<Task> $tasks
     *
     * @return ContextInterface what the handler's context is made of
     */
    private function connect(object $builder, array $tasks, bool $single): ContextInterface
    {
        $current = Context::getCurrent();
        $hasActive = Telemetry::hasActive();
        $option = $this->telemetry->options->parent;
        foreach ($tasks as $task) {
            $creation = $this->telemetry->creation($task->getHeaders());
            if ($single && $creation->span !== null && ($option === Options::PARENT_CREATION || $option === Options::PARENT_AUTO && !$hasActive)) {
                $builder->setParent($creation->context);
                if ($hasActive) {
                    $builder->addLink(Span::getCurrent()->getContext());
                }

                return $creation->context;
            }
            if ($creation->span !== null) {
                $builder->addLink($creation->span);
            }
            if ($single) {
                // With the job's baggage, but not its span.
                $builder->setParent($current);

                return $creation->context;
            }
        }

        return $current;
    }

    private function knownOf(Task $task): Known
    {
        return $this->known[$task] ??= new Known(Destination::ofTask($task));
    }

    /** @return array<string, string|int> */
    private function ofProcessed(Task $task): array
    {
        return self::ofTask($task) + ['amqp1.attempt' => $task->getAttempts()]
            + ($this->telemetry->options->bodySize ? ['messaging.message.body.size' => strlen($task->getBody())] : []);
    }

    /** @return array<string, string> */
    private static function ofTask(Task $task): array
    {
        $attributes = ['messaging.message.id' => $task->getId(), 'amqp1.job.name' => $task->getName()];
        $conversation = $task->getCorrelationId();

        return $conversation === null ? $attributes : $attributes + ['messaging.message.conversation_id' => $conversation];
    }

    /** Unix time in nanoseconds. */
    private static function ago(float $seconds): int
    {
        return (int) ((microtime(true) - $seconds) * 1e9);
    }
}
