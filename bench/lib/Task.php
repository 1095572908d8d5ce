<?php

declare(strict_types=1);

namespace Amqp1\Bench;

/** What one worker process is to measure. It travels as JSON in the worker's argument, also to workers in other languages. */
final class Task
{
    /** The smallest and the largest payload of mixed sizes, in octets. */
    private const MIXED = [64, 4 << 20];

    /** What all payloads have in common. */
    private ?string $rest = null;

    /**
     * @param string $client amqp1, php-amqp, php-amqplib, …
     * @param string $mode push, pushMany, consume, fpm
     * @param list<string> $queues they exist already
     * @param int $jobs how many are timed
     * @param int $warm how many come before those
     * @param int $size of a payload in octets; 0 mixes sizes from 64 octets to 4 MB, half as many of twice the size
     * @param int $block how many jobs go to a queue before the next queue has its turn
     * @param int $window 0-9-1: the maximum of unconfirmed messages; half of them are confirmed before more are sent
     * @param int|null $prefetch null leaves the client's default
     * @param string|null $format amqp1: the queue's format
     * @param bool $envelope 0-9-1: messages carry amqp1's rr_* headers too
     * @param float $startAt when to start, in seconds since 1970: for processes that start together
     * @param bool $headers consumers read the headers, and the job's number there; otherwise only the payload, which has it too
     * @param int $samples how many times to look at the memory on the way
     */
    public function __construct(
        public readonly string $client,
        public readonly string $mode,
        public readonly string $dsn,
        public readonly array $queues,
        public readonly int $jobs,
        public readonly int $warm,
        public readonly int $size = 256,
        public readonly int $block = PHP_INT_MAX,
        public readonly int $window = 2_000,
        public readonly ?int $prefetch = null,
        public readonly ?string $format = null,
        public readonly bool $envelope = false,
        public readonly float $startAt = 0,
        public readonly bool $headers = true,
        public readonly int $samples = 0,
    ) {
    }

    public static function fromJson(string $json): self
    {
        return new self(...json_decode($json, true, 8, JSON_THROW_ON_ERROR));
    }

    public function toJson(): string
    {
        return json_encode(array_diff_key(get_object_vars($this), ['rest' => 0]), JSON_THROW_ON_ERROR);
    }

    /** The same task with some other values. */
    public function with(mixed ...$values): self
    {
        return new self(...array_merge(array_diff_key(get_object_vars($this), ['rest' => 0]), $values));
    }

    public function queue(int $n): int
    {
        return intdiv($n, $this->block) % count($this->queues);
    }

    public function size(int $n): int
    {
        if ($this->size !== 0) {
            return $this->size;
        }
        // Knuth's multiplicative hash: spread evenly, and the same for every client.
        $part = ((($n * 2654435761) & 0xffffffff) + 1) / (1 << 32);

        return (int) min(self::MIXED[1], self::MIXED[0] / $part);
    }

    /**
     * The payload, which begins with the job's number. Each job has a string of its own, as an application's jobs have: with a
     * single string, a client that keeps strings until they are confirmed would need no memory for it.
     */
    public function payload(int $n): string
    {
        $size = $this->size($n);
        if ($this->size !== 0) {
            return sprintf('%08d', $n) . ($this->rest ??= str_repeat('x', $size - 8));
        }
        $this->rest ??= str_repeat('x', self::MIXED[1]);

        return sprintf('%08d', $n) . substr($this->rest, 0, $size - 8);
    }

    /**
     * The application's own three headers. The last one tells the jobs apart.
     *
     * @return array<string, string|int>
     */
    public function headers(int $n): array
    {
        return ['tenant-id' => 'company-a', 'request-id' => 'req-0123456789abcdef', 'number' => $n];
    }

    /** @return array{host: string, port: int, user: string, password: string, vhost: string} */
    public function at(): array
    {
        return self::parse($this->dsn);
    }

    /** @return array{host: string, port: int, user: string, password: string, vhost: string} */
    public static function parse(string $dsn): array
    {
        $at = parse_url($dsn);

        return [
            'host' => $at['host'],
            'port' => $at['port'] ?? 5672,
            'user' => rawurldecode($at['user'] ?? 'guest'),
            'password' => rawurldecode($at['pass'] ?? 'guest'),
            'vhost' => isset($at['path']) && $at['path'] !== '/' ? rawurldecode(substr($at['path'], 1)) : '/',
        ];
    }
}
