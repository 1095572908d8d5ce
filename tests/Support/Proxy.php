<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support;

use RuntimeException;

/**
 * A network between the extension and a broker, which works until a test disturbs it.
 *
 * It runs in its own process (proxy.php), because the extension blocks this one. Directions are `up` (to the broker)
 * and `down`; steps are the names of the broker's frames, such as `mechanisms`, `open`, `attach`, `disposition`.
 */
final class Proxy
{
    public readonly string $dsn;
    public readonly string $address;
    private Child $process;

    /** @var resource */
    private $control;

    public function __construct(Broker $broker)
    {
        $this->process = Child::command([PHP_BINARY, __DIR__ . '/proxy.php', $broker->endpoint()]);
        $line = $this->process->waitFor('listening on ');
        if (!preg_match('/listening on (\S+) control (\S+)/', $line, $match)) {
            throw new RuntimeException("the proxy said: $line");
        }
        $this->address = $match[1];
        $this->dsn = str_replace($broker->endpoint(), $this->address, $broker->dsn);
        $control = stream_socket_client('tcp://' . $match[2], $_, $error, 5);
        if ($control === false) {
            throw new RuntimeException("the proxy's control socket: $error");
        }
        $this->control = $control;
    }

    /** Everything passes again. What was swallowed stays lost. */
    public function heal(): void
    {
        $this->tell(['delay' => 0]);
    }

    /** Closes every connection properly (FIN). */
    public function cut(): void
    {
        $this->tell(['do' => 'cut']);
    }

    /** Breaks every connection (RST). */
    public function reset(): void
    {
        $this->tell(['do' => 'reset']);
    }

    /** Discards everything in that direction, including the end of the stream: the connection is half-open. */
    public function swallow(string ...$directions): void
    {
        $this->tell(['swallow' => $directions]);
    }

    /** Does not read anything in that direction, so the sender's socket fills up. */
    public function stall(string ...$directions): void
    {
        $this->tell(['stall' => $directions]);
    }

    public function delay(float $seconds): void
    {
        $this->tell(['delay' => $seconds]);
    }

    public function trickle(int $bytes, float $seconds): void
    {
        $this->tell(['trickle' => [$bytes, $seconds]]);
    }

    /** Passes this many bytes of each connection, then no more. */
    public function silentAfter(string $direction, int $bytes): void
    {
        $this->tell(['silentAfter' => [$direction, $bytes]]);
    }

    /** Discards everything that the broker sends, from its first frame of that kind on. */
    public function silentBefore(string $step): void
    {
        $this->tell($step === 'connect' ? ['mute' => true] : ['silentBefore' => $step]);
    }

    /** Discards the broker's frames of that kind, but no others. */
    public function drop(string $step): void
    {
        $this->tell(['drop' => $step]);
    }

    /** New connections are accepted and reset. */
    public function refuse(): void
    {
        $this->tell(['refuse' => true]);
    }

    /** @return array{accepted: int, open: int, up: int, down: int} connections ever and now, bytes read of the open ones */
    public function counts(): array
    {
        return $this->tell(['do' => 'counts']);
    }

    /** @return array<string, int> */
    private function tell(array $command): array
    {
        fwrite($this->control, json_encode($command) . "\n");
        $answer = fgets($this->control);
        if ($answer === false) {
            throw new RuntimeException("the proxy has died:\n" . $this->process->output());
        }

        return json_decode($answer, true);
    }
}
