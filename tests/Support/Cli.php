<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support;

use RuntimeException;

/** One run of bin/amqp1 to its end. */
final class Cli
{
    private function __construct(public readonly int $code, public readonly string $out, public readonly string $err)
    {
    }

    /** @return list<string> */
    public static function command(string ...$arguments): array
    {
        return [...Child::phpCommand(), dirname(__DIR__, 2) . '/bin/amqp1', ...$arguments];
    }

    /**
     * @param list<string> $arguments
     * @param array<string, string> $environment besides the test run's own, without AMQP1_DSN and AMQP1_CONFIG
     */
    public static function run(array $arguments, array $environment = [], string $input = '', ?string $folder = null): self
    {
        $all = $environment + array_diff_key(getenv(), ['AMQP1_DSN' => 0, 'AMQP1_CONFIG' => 0]);
        [$in, $out, $err] = [tmpfile(), tmpfile(), tmpfile()];
        fwrite($in, $input);
        rewind($in);
        $process = proc_open(self::command(...$arguments), [$in, $out, $err], $pipes, $folder, $all);
        if ($process === false) {
            throw new RuntimeException('cannot start bin/amqp1');
        }
        $deadline = microtime(true) + 60;
        while (($status = proc_get_status($process))['running']) {
            if (microtime(true) > $deadline) {
                proc_terminate($process, SIGKILL);
                throw new RuntimeException('amqp1 ' . implode(' ', $arguments) . ' does not end');
            }
            usleep(2000);
        }
        rewind($out);
        rewind($err);

        return new self($status['signaled'] ? 128 + $status['termsig'] : $status['exitcode'],
            (string) stream_get_contents($out), (string) stream_get_contents($err));
    }

    public function json(): mixed
    {
        try {
            return json_decode($this->out, true, 512, JSON_THROW_ON_ERROR);
        } catch (\JsonException $e) {
            throw new RuntimeException("it ended with $this->code and printed no JSON, but \"$this->out\" and \"$this->err\"", 0, $e);
        }
    }
}
