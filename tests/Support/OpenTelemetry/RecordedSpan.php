<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support\OpenTelemetry;

/** A span that has ended. */
final class RecordedSpan
{
    public int $kind = 0;
    public string $trace = '';
    public string $id = '';
    public ?string $parent = null;
    public ?int $started = null;
    public int $ended = 0;
    public string $status = 'Unset';
    public string $description = '';

    /** @var array<string, mixed> */
    public array $attributes = [];

    /** @var list<string> the spans' ids */
    public array $links = [];

    /** @var list<string> their names */
    public array $events = [];

    public function __construct(public string $name)
    {
    }
}
