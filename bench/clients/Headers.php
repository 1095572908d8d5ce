<?php

declare(strict_types=1);

namespace Amqp1\Bench\Clients;

use Amqp1\Bench\Task;

/** The properties of a 0-9-1 message, by php-amqp's names. */
final class Headers
{
    public function __construct(private readonly Task $task)
    {
    }

    /** @return array<string, mixed> */
    public function attributes(int $n, string $queue): array
    {
        $headers = $this->task->headers($n);
        $attributes = ['delivery_mode' => 2, 'content_type' => 'application/octet-stream', 'headers' => $headers];
        if (!$this->task->envelope) {
            return $attributes;
        }
        $id = bin2hex(random_bytes(16));
        $attributes['headers'] += [
            'rr_id' => $id, 'rr_job' => 'Bench', 'rr_pipeline' => $queue, 'rr_delay' => 0, 'rr_priority' => 4,
            'rr_headers' => json_encode(array_map(static fn ($value) => [(string) $value], $headers)), 'rr_auto_ack' => false,
        ];

        return ['message_id' => $id, 'timestamp' => time()] + $attributes;
    }
}
