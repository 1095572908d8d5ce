<?php

declare(strict_types=1);

namespace Amqp1\Bench;

/** Time, CPU time and context switches of this process, all threads, between start() and stop(). */
final class Stopwatch
{
    private float $seconds = 0;
    private float $cpu = 0;
    private int $switches = 0;
    private float $from = 0;
    private float $to = 0;

    public function start(): void
    {
        [$cpu, $switches] = self::usage();
        $this->cpu = -$cpu;
        $this->switches = -$switches;
        $this->from = microtime(true);
        $this->seconds = -hrtime(true) / 1e9;
    }

    public function stop(): void
    {
        $this->seconds += hrtime(true) / 1e9;
        $this->to = microtime(true);
        [$cpu, $switches] = self::usage();
        $this->cpu += $cpu;
        $this->switches += $switches;
    }

    /** @return array{float, int} seconds of user and system time, context switches */
    public static function usage(): array
    {
        $usage = getrusage();

        return [
            $usage['ru_utime.tv_sec'] + $usage['ru_stime.tv_sec'] + ($usage['ru_utime.tv_usec'] + $usage['ru_stime.tv_usec']) / 1e6,
            $usage['ru_nvcsw'] + $usage['ru_nivcsw'],
        ];
    }

    /** @return array<string, float> jobs in a second, µs and switches a job, when it was in seconds since 1970 */
    public function figures(int $jobs): array
    {
        return [
            'rate' => $jobs / $this->seconds,
            'cpu' => $this->cpu / $jobs * 1e6,
            'switches' => $this->switches / $jobs,
            'from' => $this->from,
            'to' => $this->to,
        ];
    }
}
