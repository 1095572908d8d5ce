<?php

declare(strict_types=1);

namespace Amqp1\Bench;

use RuntimeException;

/**
 * Counts consumed jobs by their number; a job that comes twice, or with another size, ends the measurement. It takes the same
 * memory for the first job and the millionth.
 */
final class Tally
{
    private string $seen;
    private int $done = 0;
    private readonly int $all;
    private readonly int $begun;

    public function __construct(private readonly Task $task, private readonly Stopwatch $watch, private readonly Memory $memory)
    {
        $this->all = $task->warm + $task->jobs;
        $this->begun = hrtime(true);
        $this->seen = str_repeat("\0", intdiv($this->all, 8) + 1);
    }

    /** @return bool whether more jobs are to come */
    public function take(int $number, int $length): bool
    {
        if ($length !== $this->task->size($number)) {
            throw new RuntimeException("job $number has $length octets");
        }
        // Processes that share a queue cannot know which jobs are theirs.
        if ($this->task->startAt == 0) {
            $octet = ord($this->seen[$number >> 3]);
            if ($octet & (1 << ($number & 7))) {
                throw new RuntimeException("job $number came twice");
            }
            $this->seen[$number >> 3] = chr($octet | (1 << ($number & 7)));
        }
        if ($this->done++ === 0) {
            $this->watch->came((hrtime(true) - $this->begun) / 1e6);
        }
        if ($this->done === $this->task->warm) {
            $this->watch->start();
        } elseif ($this->done > $this->task->warm) {
            $this->memory->sample($this->done - $this->task->warm);
        }

        return $this->done < $this->all;
    }

    public function done(): int
    {
        return $this->done;
    }
}
