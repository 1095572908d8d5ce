<?php

declare(strict_types=1);

namespace Amqp1\OpenTelemetry;

use Amqp1\Observation\Push;
use Amqp1\OpenTelemetry\Propagation\HeaderGetter;
use OpenTelemetry\API\Trace\SpanInterface;
use OpenTelemetry\API\Trace\SpanKind;
use WeakMap;

/**
 * A push is a `send` span, whose context is the job's creation context. Jobs of pushMany() have a `create` span each and
 * one `send` span for all of them, which links to theirs. A copy that the extension sends keeps its original's creation
 * context: its span has the name of what was done (`retry`, `release`, `dead_letter`, `replay`, `renew`), and links to it.
 *
 * @internal
 */
final class Pushing
{
    private const SEND = 'send';
    private const CREATE = 'create';

    /** The application's own. All others are copies. */
    private const NAMES = ['push' => self::SEND, 'push_many' => self::SEND, 'schedule' => 'schedule', 'request' => self::SEND, 'reply' => self::SEND];

    /** @var WeakMap<Push, Sent> */
    private WeakMap $open;

    /** @var list<Batch> A generator may itself call pushMany(). */
    private array $batches = [];

    public function __construct(private readonly Telemetry $telemetry, private readonly Consuming $consuming)
    {
        $this->open = new WeakMap();
    }

    public function before(Push $push): void
    {
        if (isset($this->open[$push])) {
            // The process's observer, and the queue's.
            return;
        }
        $destination = Destination::ofPush($push);
        $operation = $push->getOperation();
        $creation = $this->telemetry->creation($push->getHeaders());
        if ($operation === 'push_many') {
            $sent = $this->ofBatch($push, $destination, $creation);
        } else {
            $name = self::NAMES[$operation] ?? $operation;
            $builder = $this->telemetry->span("$name $destination->name",
                $creation->span === null ? SpanKind::KIND_PRODUCER : SpanKind::KIND_CLIENT,
                $destination->with(self::SEND, $name) + $this->ofJob($push));
            if ($creation->span !== null) {
                $builder->addLink($creation->span);
            }
            if (!isset(self::NAMES[$operation]) && ($parent = $this->consuming->parentOf($push->getId(), $creation)) !== null) {
                $builder->setParent($parent);
            }
            $sent = new Sent($name, $destination, $builder->startSpan(), null);
        }
        if ($creation->span === null) {
            $this->telemetry->inject($push, $sent->span ?? $sent->batch->span);
        }
        if ($push->getBroker() === 'servicebus') {
            $traceparent = HeaderGetter::find($push->getHeaders(), 'traceparent');
            if ($traceparent !== null) {
                $push->addHeader('Diagnostic-Id', $traceparent);
            }
        }
        $this->open[$push] = $sent;
    }

    public function after(Push $push): void
    {
        $sent = $this->open[$push] ?? null;
        if ($sent === null) {
            return;
        }
        unset($this->open[$push]);
        $error = $push->getOutcome() === 'confirmed' ? null : (string) $push->getOutcome();
        $metrics = $this->telemetry->metrics();
        // What kind of broker it is may be known only now.
        $destination = Destination::ofPush($push);
        if ($sent->span !== null) {
            self::correct($sent->span, $sent->operation, $sent->destination, $destination);
            if ($error !== null) {
                Telemetry::fail($sent->span, $error, $push->getError()?->getMessage());
            }
            $sent->span->end();
        }
        $attributes = $destination->with(self::SEND, $sent->batch === null ? $sent->operation : self::SEND);
        $metrics->sent($attributes, $error);
        if ($sent->batch === null) {
            $metrics->operation((float) $push->getSeconds(), $attributes, $error);

            return;
        }
        $batch = $sent->batch;
        if ($error !== null) {
            ++$batch->failed;
            $batch->error ??= $error;
        }
        if ($push->isLast()) {
            $this->end($batch, $sent->destination, $destination);
        }
    }

    private function ofBatch(Push $push, Destination $destination, Creation $creation): Sent
    {
        $createSpans = $this->telemetry->options->createSpans;
        $index = (int) $push->getIndex();
        $batch = end($this->batches) ?: null;
        if ($batch === null || $index <= $batch->index) {
            // Nested in the last one's generator, if that is open.
            $span = $this->telemetry->span(self::SEND . " $destination->name",
                $createSpans ? SpanKind::KIND_CLIENT : SpanKind::KIND_PRODUCER, $destination->with(self::SEND, self::SEND));
            $this->batches[] = $batch = new Batch($span->startSpan(), $index);
        }
        $batch->index = $index;
        ++$batch->count;
        $span = null;
        if ($createSpans && $creation->span === null) {
            $span = $this->telemetry->span(self::CREATE . " $destination->name", SpanKind::KIND_PRODUCER,
                $destination->with(self::CREATE, self::CREATE) + $this->ofJob($push))->startSpan();
        }
        $link = $creation->span ?? $span?->getContext();
        if ($link !== null && $link->isValid()) {
            $batch->span->addLink($link);
        }

        return new Sent(self::CREATE, $destination, $span, $batch);
    }

    private function end(Batch $batch, Destination $before, Destination $destination): void
    {
        $this->batches = array_values(array_filter($this->batches, static fn (Batch $one) => $one !== $batch));
        self::correct($batch->span, self::SEND, $before, $destination);
        $batch->span->setAttribute('messaging.batch.message_count', $batch->count);
        if ($batch->error !== null) {
            Telemetry::fail($batch->span, $batch->error, "$batch->failed of $batch->count jobs were not confirmed");
        }
        $batch->span->end();
        $this->telemetry->metrics()->operation(hrtime(true) / 1e9 - $batch->started,
            $destination->with(self::SEND, self::SEND), $batch->error);
    }

    private static function correct(SpanInterface $span, string $operation, Destination $before, Destination $now): void
    {
        if ($before->attributes !== $now->attributes) {
            $span->updateName("$operation $now->name");
            $span->setAttributes($now->attributes);
        }
    }

    /** @return array<string, string|int> */
    private function ofJob(Push $push): array
    {
        $attributes = ['messaging.message.id' => $push->getId(), 'amqp1.job.name' => $push->getName()];
        $conversation = $push->getCorrelationId();
        if ($conversation !== null) {
            $attributes['messaging.message.conversation_id'] = $conversation;
        }
        if ($this->telemetry->options->bodySize) {
            $attributes['messaging.message.body.size'] = $push->getSize();
        }

        return $attributes;
    }
}
