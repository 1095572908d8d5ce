<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support;

use RuntimeException;

/** A php-fpm with one pool, in its own folder. It ends when this object is destroyed. */
final class Fpm
{
    public readonly FastCgi $client;
    private readonly string $folder;
    private readonly Child $process;
    private readonly int $owner;

    /** @param array<string, int|string> $pool more settings of the pool */
    public function __construct(int $workers, array $pool = [])
    {
        $this->owner = getmypid();
        $this->folder = sys_get_temp_dir() . '/amqp1-fpm-' . bin2hex(random_bytes(6));
        mkdir($this->folder, 0700);
        $settings = [
            'listen' => $this->folder . '/socket',
            'pm' => 'static',
            'pm.max_children' => $workers,
            'catch_workers_output' => 'yes',
            'clear_env' => 'no',
        ] + $pool;
        $lines = array_map(static fn ($name, $value) => "$name = $value", array_keys($settings), $settings);
        // Without this timeout, a reload kills running requests.
        file_put_contents($this->folder . '/fpm.conf', "[global]\ndaemonize = no\nerror_log = {$this->folder}/log\n"
            . "pid = {$this->folder}/pid\nprocess_control_timeout = 10s\n[test]\n" . implode("\n", $lines) . "\n");
        $extension = array_slice(Child::phpCommand(), 1);
        $this->process = Child::command([self::program(), '--allow-to-run-as-root', '--nodaemonize',
            '--fpm-config', $this->folder . '/fpm.conf', ...$extension]);
        $this->client = new FastCgi($this->folder . '/socket');
        $this->waitUntil(fn () => str_contains($this->log(), 'ready to handle connections'), 'its start');
    }

    private static function program(): string
    {
        $version = PHP_MAJOR_VERSION . '.' . PHP_MINOR_VERSION;
        // Found like in scripts/needs.sh: of exactly this PHP, not another one with the same release.
        foreach (["php-fpm$version", 'php-fpm'] as $name) {
            foreach ([dirname(PHP_BINDIR) . '/sbin', PHP_BINDIR] as $folder) {
                if (is_executable("$folder/$name")
                    && str_starts_with((string) shell_exec(escapeshellarg("$folder/$name") . ' -n -v'), 'PHP ' . PHP_VERSION . ' ')) {
                    return "$folder/$name";
                }
            }
        }

        throw new RuntimeException("php-fpm$version of this PHP is missing: scripts/deps php");
    }

    /** Adds a script that it serves. */
    public function script(string $code): string
    {
        $path = $this->folder . '/' . bin2hex(random_bytes(4)) . '.php';
        file_put_contents($path, "<?php declare(strict_types=1);\n" . $code);

        return $path;
    }

    public function master(): int
    {
        return (int) file_get_contents($this->folder . '/pid');
    }

    /** @return list<int> */
    public function workers(): array
    {
        $pid = $this->master();
        $children = trim((string) @file_get_contents("/proc/$pid/task/$pid/children"));

        return $children === '' ? [] : array_map('intval', explode(' ', $children));
    }

    /** Replaces all workers, and waits until the new ones run. */
    public function reload(): void
    {
        $before = substr_count($this->log(), 'ready to handle connections');
        posix_kill($this->master(), SIGUSR2);
        $this->waitUntil(fn () => substr_count($this->log(), 'ready to handle connections') > $before, 'its reload');
    }

    /** Ends properly. */
    public function quit(): int
    {
        posix_kill($this->master(), SIGQUIT);

        return $this->process->wait(20);
    }

    public function log(): string
    {
        return (string) @file_get_contents($this->folder . '/log');
    }

    private function waitUntil(callable $check, string $what): void
    {
        $deadline = microtime(true) + 20;
        while (!$check()) {
            if (microtime(true) > $deadline) {
                throw new RuntimeException("php-fpm: no end of $what:\n" . $this->log() . $this->process->output());
            }
            usleep(10000);
        }
    }

    public function __destruct()
    {
        if (getmypid() !== $this->owner) {
            return;
        }
        // Not SIGKILL: the workers would outlive their master.
        $this->process->signal(SIGTERM);
        try {
            $this->process->wait(10);
        } catch (RuntimeException) {
            array_map(static fn (int $worker) => posix_kill($worker, SIGKILL), $this->workers());
            $this->process->kill();
        }
        array_map('unlink', glob($this->folder . '/*') ?: []);
        @rmdir($this->folder);
    }
}
