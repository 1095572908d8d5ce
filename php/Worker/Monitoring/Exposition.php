<?php

declare(strict_types=1);

namespace Amqp1\Worker\Monitoring;

/**
 * Prometheus' text format, version 0.0.4.
 *
 * @internal
 */
final class Exposition
{
    public const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

    private string $text = '';
    private string $name = '';
    private string $head = '';

    /** @param array<string, string> $labels that every sample has */
    public function __construct(private readonly array $labels = [])
    {
    }

    /** A metric, whose samples follow. One without samples is left out. */
    public function metric(string $name, string $type, string $help): self
    {
        $this->name = $name;
        $this->head = "# HELP $name " . strtr($help, ['\\' => '\\\\', "\n" => '\n']) . "\n# TYPE $name $type\n";

        return $this;
    }

    /**
     * @param int|float|null $value null: unknown, and left out
     * @param array<string, string|int> $labels
     */
    public function sample(int|float|null $value, array $labels = [], string $suffix = ''): self
    {
        if ($value === null) {
            return $this;
        }
        $pairs = [];
        foreach ($this->labels + $labels as $label => $text) {
            $text = (string) json_decode((string) json_encode((string) $text, JSON_INVALID_UTF8_SUBSTITUTE));
            $pairs[] = "$label=\"" . strtr($text, ['\\' => '\\\\', '"' => '\"', "\n" => '\n']) . '"';
        }
        $this->text .= "$this->head$this->name$suffix" . ($pairs === [] ? '' : '{' . implode(',', $pairs) . '}')
            . ' ' . self::number($value) . "\n";
        $this->head = '';

        return $this;
    }

    /**
     * @param list<int|float> $limits
     * @param array{buckets: list<int>, sum: float, count: int} $values how many are in each bucket alone
     * @param array<string, string|int> $labels
     */
    public function histogram(array $limits, array $values, array $labels): self
    {
        $count = 0;
        $buckets = [];
        foreach ($limits as $index => $limit) {
            $buckets[] = ['le' => $limit, 'count' => $count += $values['buckets'][$index]];
        }

        return $this->cumulative(['buckets' => $buckets] + $values, $labels);
    }

    /**
     * @param array{buckets: list<array{le: int|float, count: int}>, sum: float, count: int} $values
     * @param array<string, string|int> $labels
     */
    public function cumulative(array $values, array $labels): self
    {
        foreach ($values['buckets'] as $bucket) {
            $this->sample($bucket['count'], $labels + ['le' => self::number($bucket['le'])], '_bucket');
        }

        return $this->sample($values['count'], $labels + ['le' => '+Inf'], '_bucket')
            ->sample($values['sum'], $labels, '_sum')
            ->sample($values['count'], $labels, '_count');
    }

    public function text(): string
    {
        return $this->text;
    }

    private static function number(int|float $value): string
    {
        return match (true) {
            is_int($value) => (string) $value,
            is_nan($value) => 'NaN',
            is_infinite($value) => $value > 0 ? '+Inf' : '-Inf',
            default => (string) json_encode($value),
        };
    }
}
