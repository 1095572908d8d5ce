<?php

declare(strict_types=1);

namespace Amqp1\Bench;

use RuntimeException;

/** Counts the system calls of a job with strace, in runs of their own: strace makes everything slow. */
final class SystemCalls
{
    private const JOBS = [100, 600];

    public function __construct(private readonly Workers $workers)
    {
    }

    /** Why it cannot count; null if it can. */
    public static function missing(): ?string
    {
        exec('strace -f -c -o /dev/null true 2>&1', $said, $code);

        return $code === 0 ? null : 'system calls: ' . ($code === 127 ? 'strace is not installed (scripts/deps bench)' : 'strace does not work: ' . implode(' ', $said));
    }

    /** The system calls of one job: the difference of two runs, so that PHP's start and the connection do not count. */
    public function perJob(Task $task, float $seconds): float
    {
        $counts = array_map(fn (int $jobs) => $this->count($task->with(jobs: $jobs), (int) ceil($seconds)), self::JOBS);

        return ($counts[1] - $counts[0]) / (self::JOBS[1] - self::JOBS[0]);
    }

    private function count(Task $task, int $seconds): int
    {
        $file = tempnam(sys_get_temp_dir(), 'amqp1-bench-');
        try {
            $command = ['timeout', '--foreground', '--signal=KILL', (string) $seconds, 'strace', '-f', '-c', '-o', $file, ...$this->workers->command($task)];
            exec(implode(' ', array_map('escapeshellarg', $command)) . ' 2>&1', $output, $code);
            if ($code !== 0 || !preg_match('/^\s*100\.00\s+[\d.]+\s+(?:\d+\s+)?(\d+)\s+(?:\d+\s+)?total$/m', (string) file_get_contents($file), $total)) {
                throw new RuntimeException("strace of {$task->client} ended with $code: " . implode("\n", $output));
            }

            return (int) $total[1];
        } finally {
            unlink($file);
        }
    }
}
