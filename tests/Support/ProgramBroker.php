<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support;

use RuntimeException;

/** amqp1-broker as a separate process, on a free loopback port. It ends with the test run. */
final class ProgramBroker
{
    private function __construct(private readonly Child $process, public readonly string $dsn)
    {
    }

    /** @param list<string> $arguments more of the program's own */
    public static function start(array $arguments = [], int $port = 0): self
    {
        $target = getenv('CARGO_TARGET_DIR') ?: dirname(__DIR__, 2) . '/target';
        $program = getenv('AMQP1_BROKER') ?: $target . '/release/amqp1-broker';
        if (!is_executable($program)) {
            throw new RuntimeException("$program is not there: make build");
        }
        $process = Child::command([$program, '--listen', "127.0.0.1:$port", ...$arguments]);
        $line = $process->waitFor('listening on ', 10);
        if (!preg_match('/listening on ([\d.]+:\d+)/', $line, $match)) {
            throw new RuntimeException("amqp1-broker said: $line");
        }

        return new self($process, 'amqp://guest:guest@' . $match[1]);
    }

    /** @param list<string> $arguments more of the program's own; every queue that is used is made */
    public static function serviceBus(array $arguments = []): self
    {
        return self::start(['--dialect', 'servicebus', '--create-on-use', ...$arguments]);
    }

    /** `127.0.0.1:PORT`. */
    public function address(): string
    {
        return substr($this->dsn, strrpos($this->dsn, '@') + 1);
    }

    /** Like Microsoft's emulator: without TLS, with tokens signed with its key. */
    public function connectionString(string $key = 'SAS_KEY_VALUE', string $more = ''): string
    {
        return "Endpoint=sb://{$this->address()};SharedAccessKeyName=RootManageSharedAccessKey;"
            . "SharedAccessKey=$key;UseDevelopmentEmulator=true;$more";
    }

    public function pid(): int
    {
        return $this->process->pid();
    }

    /** Makes it silent while its connections stay open. */
    public function freeze(): void
    {
        $this->process->signal(SIGSTOP);
        // Its threads continue until one of them has received the signal.
        $deadline = microtime(true) + 10;
        while (!preg_match('/^State:\s+T/m', (string) file_get_contents("/proc/{$this->process->pid()}/status"))) {
            if (microtime(true) > $deadline) {
                throw new RuntimeException('amqp1-broker does not stop at SIGSTOP');
            }
            usleep(1000);
        }
    }

    public function thaw(): void
    {
        $this->process->signal(SIGCONT);
    }

    public function stop(): void
    {
        $this->process->kill();
    }
}
