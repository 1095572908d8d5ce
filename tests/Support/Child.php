<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support;

use RuntimeException;

/** A process that a test started: its output, its signals, its end. It is killed when this object is destroyed. */
final class Child
{
    /** @var resource */
    private $process;

    /** @var resource */
    private $pipe;

    private string $output = '';
    private ?int $code = null;
    private int $owner;
    private ?string $script = null;

    /**
     * @param list<string> $command
     * @param array<string, string> $environment in addition to the test run's own
     */
    private function __construct(array $command, array $environment)
    {
        $this->owner = getmypid();
        $process = proc_open(
            $command,
            [0 => ['file', '/dev/null', 'r'], 1 => ['pipe', 'w'], 2 => ['redirect', 1]],
            $pipes,
            null,
            $environment + getenv()
        );
        if ($process === false) {
            throw new RuntimeException('cannot start ' . implode(' ', $command));
        }
        $this->process = $process;
        $this->pipe = $pipes[1];
        stream_set_blocking($this->pipe, false);
    }

    /**
     * @param list<string> $command
     * @param array<string, string> $environment
     */
    public static function command(array $command, array $environment = []): self
    {
        return new self($command, $environment);
    }

    /**
     * PHP with the extension. `$code` has the arguments in $argv[1]…; its output is flushed at once.
     *
     * @param list<string> $arguments
     * @param list<string> $flags PHP's own
     */
    public static function php(string $code, array $arguments = [], array $flags = []): self
    {
        $script = tempnam(sys_get_temp_dir(), 'amqp1-test-');
        file_put_contents($script, "<?php declare(strict_types=1);\n"
            . "ob_implicit_flush(); error_reporting(-1); ini_set('display_errors', '1');\n" . $code);
        $child = new self([...self::phpCommand(), ...$flags, $script, ...$arguments], []);
        $child->script = $script;

        return $child;
    }

    /** @return list<string> PHP, with the extension named when no ini file names it. */
    public static function phpCommand(): array
    {
        static $command = null;
        if ($command === null) {
            exec(escapeshellarg(PHP_BINARY) . ' -r ' . escapeshellarg('exit(extension_loaded("amqp1") ? 0 : 1);'), $_, $code);
            $target = getenv('CARGO_TARGET_DIR') ?: dirname(__DIR__, 2) . '/target';
            $library = getenv('AMQP1_EXTENSION') ?: $target . '/release/libamqp1.so';
            $command = $code === 0 ? [PHP_BINARY] : [PHP_BINARY, '-d', 'extension=' . $library];
        }

        return $command;
    }

    /** Waits for the end and returns the output. An exit code other than `$code` is an error. */
    public static function run(string $code, array $arguments = [], array $flags = [], int $exit = 0, float $timeout = 60): string
    {
        $child = self::php($code, $arguments, $flags);
        $status = $child->wait($timeout);
        if ($status !== $exit) {
            throw new RuntimeException("the child ended with $status, not $exit:\n" . $child->output);
        }

        return $child->output;
    }

    /** Waits until a line contains `$text`, and returns that line. */
    public function waitFor(string $text, float $timeout = 20): string
    {
        $deadline = microtime(true) + $timeout;
        do {
            $running = $this->isRunning();
            $this->read();
            foreach (explode("\n", $this->output) as $line) {
                if (str_contains($line, $text) && str_contains($this->output, $line . "\n")) {
                    return $line;
                }
            }
            usleep(5000);
        } while ($running && microtime(true) < $deadline);

        throw new RuntimeException("no '$text' " . ($running ? "within $timeout s" : "before the end ({$this->code})")
            . ", but:\n" . $this->output);
    }

    /** Waits for the end. Returns the exit code, or 128 + the signal that ended the process. */
    public function wait(float $timeout = 60): int
    {
        $deadline = microtime(true) + $timeout;
        while ($this->isRunning()) {
            $this->read();
            if (microtime(true) > $deadline) {
                $this->kill();

                throw new RuntimeException("no end within $timeout s, but:\n" . $this->output);
            }
            usleep(5000);
        }
        $this->read();

        return (int) $this->code;
    }

    public function signal(int $signal): void
    {
        proc_terminate($this->process, $signal);
    }

    public function kill(): void
    {
        if ($this->isRunning()) {
            proc_terminate($this->process, SIGKILL);
            while ($this->isRunning()) {
                usleep(1000);
            }
        }
    }

    public function pid(): int
    {
        return proc_get_status($this->process)['pid'];
    }

    public function output(): string
    {
        $this->read();

        return $this->output;
    }

    private function isRunning(): bool
    {
        if ($this->code !== null) {
            return false;
        }
        $status = proc_get_status($this->process);
        if (!$status['running']) {
            $this->code = $status['signaled'] ? 128 + $status['termsig'] : $status['exitcode'];
        }

        return $status['running'];
    }

    private function read(): void
    {
        while (($more = fread($this->pipe, 65536)) !== false && $more !== '') {
            $this->output .= $more;
        }
    }

    public function __destruct()
    {
        if (getmypid() !== $this->owner) {
            return;
        }
        $this->kill();
        if ($this->script !== null) {
            @unlink($this->script);
        }
    }
}
