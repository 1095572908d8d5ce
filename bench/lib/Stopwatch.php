<?php

declare(strict_types=1);

namespace Amqp1\Bench;

/** Time, CPU time and context switches of this process, all threads, between start() and stop(). */
final class Stopwatch
{
    private float $seconds = 0;
    private float $cpu = 0;
    private float $system = 0;
    private int $switches = 0;
    private float $from = 0;
    private float $to = 0;
    private ?float $first = null;

    public function start(): void
    {
        [$cpu, $system, $switches] = self::usage();
        $this->cpu = -$cpu;
        $this->system = -$system;
        $this->switches = -$switches;
        $this->from = microtime(true);
        $this->seconds = -hrtime(true) / 1e9;
    }

    public function stop(): void
    {
        $this->seconds += hrtime(true) / 1e9;
        $this->to = microtime(true);
        [$cpu, $system, $switches] = self::usage();
        $this->cpu += $cpu;
        $this->system += $system;
        $this->switches += $switches;
    }

    /** The first job came so many milliseconds after the consumer was asked for it. */
    public function came(float $milliseconds): void
    {
        $this->first = $milliseconds;
    }

    /** @return array{float, float, int} seconds of user and system time, those of system time, context switches */
    private static function usage(): array
    {
        $usage = getrusage();
        $system = $usage['ru_stime.tv_sec'] + $usage['ru_stime.tv_usec'] / 1e6;

        return [
            $usage['ru_utime.tv_sec'] + $usage['ru_utime.tv_usec'] / 1e6 + $system,
            $system,
            $usage['ru_nvcsw'] + $usage['ru_nivcsw'],
        ];
    }

    /**
     * @return array<string, float|null> jobs in a second, µs (all, and in the kernel) and switches a job, ms until the first one, when
     *     it was in seconds since 1970
     */
    public function figures(int $jobs): array
    {
        return [
            'rate' => $jobs / $this->seconds,
            'cpu' => $this->cpu / $jobs * 1e6,
            'system' => $this->system / $jobs * 1e6,
            'switches' => $this->switches / $jobs,
            'first' => $this->first,
            'from' => $this->from,
            'to' => $this->to,
        ];
    }
}
