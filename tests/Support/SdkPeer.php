<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support;

use PHPUnit\Framework\Assert;
use RuntimeException;

/** One of Microsoft's SDKs for Service Bus in its own process. tests/sdk/python/peer.py lists the requests. */
final class SdkPeer
{
    public const PYTHON = 'python';
    public const JAVASCRIPT = 'javascript';

    /** @var resource */
    private $process;

    /** @var array<int, resource> */
    private array $pipes = [];

    private string $read = '';
    private int $owner;

    /** @param array<string, string> $environment besides this process's own */
    public function __construct(public readonly string $name, string $connectionString, array $environment = [])
    {
        $this->owner = getmypid();
        $this->process = proc_open(
            [...self::command($name), $connectionString],
            [0 => ['pipe', 'r'], 1 => ['pipe', 'w'], 2 => ['file', $this->log(), 'w']],
            $this->pipes,
            null,
            $environment + getenv(),
        );
        stream_set_blocking($this->pipes[1], false);
        $this->answer(60);
    }

    /** scripts/test sets AMQP1_TEST_WITHOUT_SDKS where PyPI or npm is out of reach. Under CI nothing is left out. */
    public static function orSkip(): void
    {
        if (getenv('AMQP1_TEST_WITHOUT_SDKS')) {
            getenv('CI')
                ? Assert::fail('AMQP1_TEST_WITHOUT_SDKS is set, and CI leaves nothing out')
                : Assert::markTestSkipped("Microsoft's SDKs could not be installed");
        }
    }

    /** @return list<string> */
    private static function command(string $name): array
    {
        $top = dirname(__DIR__, 2);
        exec(escapeshellarg("$top/scripts/sdks") . ' install ' . escapeshellarg($name) . ' 2>&1', $output, $status);
        $command = match ($name) {
            self::PYTHON => ["$top/build/sdks/python/bin/python", "$top/tests/sdk/python/peer.py"],
            self::JAVASCRIPT => ['node', "$top/tests/sdk/javascript/peer.mjs", "$top/build/sdks/javascript"],
        };
        if ($status !== 0) {
            throw new RuntimeException("the SDK for $name could not be installed:\n" . implode("\n", $output));
        }
        if (!is_file("$top/build/sdks/$name.stamp")) {
            Assert::markTestSkipped("the SDK for $name could not be installed, and AMQP1_SDKS_OPTIONAL is set");
        }

        return $command;
    }

    /**
     * @param array<string, mixed> $request
     *
     * @return array<string, mixed>
     */
    public function ask(array $request, float $timeout = 60): array
    {
        fwrite($this->pipes[0], json_encode($request, JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE) . "\n");
        $answer = $this->answer($timeout);
        if (isset($answer['error'])) {
            throw new RuntimeException("$this->name: {$answer['error']}");
        }

        return $answer;
    }

    /** @param array<string, mixed> ...$messages */
    public function send(string $to, array ...$messages): void
    {
        $this->ask(['do' => 'send', 'to' => $to, 'messages' => $messages]);
    }

    /**
     * @param array<string, mixed> $more
     *
     * @return list<array<string, mixed>>
     */
    public function receive(string $from, array $more = []): array
    {
        return $this->ask(['do' => 'receive', 'from' => $from] + $more)['messages'];
    }

    /**
     * @param array<string, mixed> $more
     *
     * @return array<string, mixed>
     */
    public function receiveOne(string $from, array $more = []): array
    {
        $messages = $this->receive($from, $more);
        Assert::assertCount(1, $messages, "$this->name receives one message from $from");

        return $messages[0];
    }

    /** @return array<string, mixed> */
    private function answer(float $timeout): array
    {
        $deadline = microtime(true) + $timeout;
        while (($end = strpos($this->read, "\n")) === false) {
            $readable = [$this->pipes[1]];
            $none = [];
            stream_select($readable, $none, $none, 0, 100_000);
            $more = fread($this->pipes[1], 1 << 20);
            if (is_string($more)) {
                $this->read .= $more;
            }
            $ended = $more === '' && feof($this->pipes[1]);
            if ($ended || microtime(true) > $deadline) {
                throw new RuntimeException("$this->name " . ($ended ? 'has ended' : "gives no answer within $timeout s")
                    . ":\n" . file_get_contents($this->log()));
            }
        }
        $line = substr($this->read, 0, $end);
        $this->read = substr($this->read, $end + 1);

        return json_decode($line, true, 64, JSON_THROW_ON_ERROR);
    }

    private function log(): string
    {
        return sys_get_temp_dir() . '/amqp1-test-sdk-' . getmypid() . "-$this->name.log";
    }

    public function __destruct()
    {
        if (getmypid() !== $this->owner) {
            return;
        }
        fclose($this->pipes[0]);
        proc_terminate($this->process, SIGKILL);
        proc_close($this->process);
        @unlink($this->log());
    }
}
