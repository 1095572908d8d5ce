<?php

declare(strict_types=1);

namespace Amqp1\Bench;

/** The memory of this process, from /proc, in MB of 1,000,000 octets. */
final class Memory
{
    /** @var list<array{int, float}> jobs, resident MB */
    private array $samples = [];
    private readonly int $every;

    /** @param int $samples how many, spread over the jobs; 0 for none */
    public function __construct(int $jobs, int $samples)
    {
        $this->every = $samples === 0 ? PHP_INT_MAX : max(1, intdiv($jobs, $samples));
    }

    public function sample(int $done): void
    {
        if ($done % $this->every === 0) {
            $this->samples[] = [$done, self::read('VmRSS')];
        }
    }

    /** @param string $name VmRSS (now) or VmHWM (the peak) */
    public static function read(string $name): float
    {
        preg_match("/^$name:\s*(\d+) kB/m", (string) file_get_contents('/proc/self/status'), $match);

        return ($match[1] ?? 0) * 1024 / 1e6;
    }

    /** @return array<string, mixed> the peak; with samples, also the figures of a flat curve */
    public function figures(): array
    {
        $figures = ['memory' => self::read('VmHWM')];
        if ($this->samples === []) {
            return $figures;
        }
        // By quarters: a single look may find a large payload in hand. In the first one, buffers grow to what the load needs.
        $sizes = array_column($this->samples, 1);
        $quarter = max(1, intdiv(count($sizes), 4));
        $start = Statistics::median(array_slice($sizes, min($quarter, count($sizes) - 1), $quarter));
        $end = Statistics::median(array_slice($sizes, -$quarter));

        $at = static fn (float $part) => $sizes[max(0, (int) round(count($sizes) * $part) - 1)];

        return $figures + [
            'start' => $start, 'end' => $end, 'growth' => $end / $start,
            'tenth' => $at(0.1), 'half' => $at(0.5), 'last' => $at(1), 'samples' => $this->samples,
        ];
    }
}
