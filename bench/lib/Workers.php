<?php

declare(strict_types=1);

namespace Amqp1\Bench;

use RuntimeException;

/** Starts worker processes and reads their figures. */
final class Workers
{
    private const TOP = __DIR__ . '/../..';

    /** @param string|null $before the library of the client "before" */
    public function __construct(private readonly ?string $before = null)
    {
    }

    /**
     * @param float $seconds how long it may take
     *
     * @return array<string, mixed> its figures
     */
    public function run(Task $task, float $seconds): array
    {
        return $this->together([$task], $seconds)[0];
    }

    /**
     * Runs them at the same time.
     *
     * @param list<Task> $tasks
     * @param float $seconds how long they may take; after that, they are killed
     *
     * @return list<array<string, mixed>> the figures of each
     */
    public function together(array $tasks, float $seconds): array
    {
        $seconds = max(1, (int) ceil($seconds));
        $running = array_map(fn (Task $task) => $this->start($task, $seconds), $tasks);
        $figures = $failures = [];
        foreach ($running as $i => [$process, $pipe]) {
            $output = (string) stream_get_contents($pipe);
            $code = proc_close($process);
            if ($code !== 0) {
                // By timeout, or by its own death from the signal.
                $how = $code === 137 || $code === 9 ? "was killed after $seconds s" : "ended with $code";
                $failures[] = rtrim("{$tasks[$i]->client}, {$tasks[$i]->mode} $how: " . trim($output), ': ');
            } else {
                $figures[] = json_decode($output, true, 8, JSON_THROW_ON_ERROR);
            }
        }

        return $failures === [] ? $figures : throw new RuntimeException(implode('; ', $failures));
    }

    /** @return array{resource, resource} */
    private function start(Task $task, int $seconds): array
    {
        $environment = $task->client === 'before' ? ['AMQP1_EXTENSION' => $this->before] : [];
        $command = ['timeout', '--foreground', '--signal=KILL', (string) $seconds, ...$this->command($task)];
        $process = proc_open($command, [0 => ['file', '/dev/null', 'r'], 1 => ['pipe', 'w']], $pipes, null, $environment + getenv());

        return [$process, $pipes[1]];
    }

    /** @return array{string, string} the versions of amqp1 and of the broker */
    public static function versions(string $dsn): array
    {
        $code = 'echo json_encode([phpversion("amqp1"), (new Amqp1\AmqpQueue($argv[1], "bench"))->getBroker()["version"]]);';
        $said = shell_exec(implode(' ', array_map('escapeshellarg', [self::php(), '-r', $code, $dsn])));

        return json_decode((string) $said, true) ?? throw new RuntimeException("amqp1 does not connect: $said");
    }

    /** PHP with amqp1. */
    private static function php(): string
    {
        return getenv('AMQP1_BENCH_PHP') ?: self::TOP . '/scripts/php';
    }

    /** @return list<string> */
    public function command(Task $task): array
    {
        return match ($task->client) {
            'go-amqp', 'Java' => [...OtherLanguages::command($task->client), $task->toJson()],
            default => [self::php(), self::TOP . '/bench/worker.php', $task->toJson()],
        };
    }
}
