<?php

declare(strict_types=1);

namespace Amqp1\Command\Top;

use Amqp1\Console\ExitCode;
use RuntimeException;

/**
 * A Probe in a process of its own: a broker that is slow to answer keeps nobody else waiting.
 *
 * It ends when its parent does, because then its socket is closed.
 *
 * @internal
 */
final class ForkedProbe
{
    private string $received = '';

    /** @var (callable(array<string, mixed>): void)|null */
    private $then = null;

    /** @param resource|null $socket */
    private function __construct(private readonly int $pid, private $socket)
    {
    }

    /** @param list<self> $others whose sockets the new process must not keep open */
    public static function start(Probe $probe, array $others): self
    {
        $pair = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, STREAM_IPPROTO_IP);
        $pid = $pair === false ? -1 : pcntl_fork();
        if ($pair === false || $pid === -1) {
            throw new RuntimeException('Cannot start a process: ' . pcntl_strerror(pcntl_get_last_error()));
        }
        if ($pid > 0) {
            fclose($pair[1]);
            stream_set_blocking($pair[0], false);

            return new self($pid, $pair[0]);
        }
        fclose($pair[0]);
        foreach ($others as $other) {
            if (is_resource($other->socket)) {
                fclose($other->socket);
            }
        }
        self::serve($probe, $pair[1]);
    }

    /** @param resource $socket */
    private static function serve(Probe $probe, $socket): never
    {
        // The screen is the parent's, as are the keys that make signals of the terminal.
        ini_set('display_errors', '0');
        ini_set('log_errors', '0');
        foreach ([SIGINT, SIGQUIT, SIGTSTP] as $signal) {
            pcntl_signal($signal, SIG_IGN);
        }
        foreach ([SIGTERM, SIGHUP, SIGWINCH, SIGCONT] as $signal) {
            pcntl_signal($signal, SIG_DFL);
        }
        // A request may come after hours.
        stream_set_timeout($socket, 10 * 365 * 86400);
        while (($request = self::read($socket)) !== null) {
            $answer = serialize($probe->answer($request));
            if (@fwrite($socket, pack('N', strlen($answer)) . $answer) === false) {
                break;
            }
        }
        exit(0);
    }

    /**
     * @param resource $socket
     *
     * @return array<string, mixed>|null
     */
    private static function read($socket): ?array
    {
        $head = (string) stream_get_contents($socket, 4);
        if (strlen($head) < 4) {
            return null;
        }
        $length = unpack('N', $head)[1];
        $request = (string) stream_get_contents($socket, $length);

        return strlen($request) < $length ? null : unserialize($request, ['allowed_classes' => false]);
    }

    public function isFree(): bool
    {
        return $this->then === null && $this->socket !== null;
    }

    public function isDead(): bool
    {
        return $this->socket === null;
    }

    /** @return resource|null */
    public function stream()
    {
        return $this->socket;
    }

    /**
     * @param array<string, mixed> $request
     * @param callable(array<string, mixed>): void $then
     */
    public function ask(array $request, callable $then): void
    {
        $this->then = $then;
        $text = serialize($request);
        @fwrite($this->socket, pack('N', strlen($text)) . $text);
    }

    /** Passes on the answer, if all of it has come. */
    public function settle(): void
    {
        if ($this->socket === null) {
            return;
        }
        while (is_string($more = @fread($this->socket, 65536)) && $more !== '') {
            $this->received .= $more;
        }
        $length = strlen($this->received) < 4 ? null : unpack('N', $this->received)[1];
        if ($length !== null && strlen($this->received) >= 4 + $length) {
            $answer = unserialize(substr($this->received, 4, $length), ['allowed_classes' => false]);
            $this->received = substr($this->received, 4 + $length);
            $this->tell($answer);
        } elseif (feof($this->socket)) {
            $this->close(0);
            $this->tell(['error' => 'the process that asked the broker has ended', 'code' => ExitCode::FAILURE]);
        }
    }

    /** @param array<string, mixed> $answer */
    private function tell(array $answer): void
    {
        [$then, $this->then] = [$this->then, null];
        if ($then !== null) {
            $then($answer);
        }
    }

    /** Ends it: what it is doing may take so many seconds more. */
    public function close(float $patience): void
    {
        if ($this->socket === null) {
            return;
        }
        fclose($this->socket);
        $this->socket = null;
        $deadline = hrtime(true) / 1e9 + $patience;
        while (pcntl_waitpid($this->pid, $status, WNOHANG) === 0) {
            if (hrtime(true) / 1e9 > $deadline) {
                posix_kill($this->pid, SIGKILL);
                pcntl_waitpid($this->pid, $status);
                break;
            }
            usleep(5000);
        }
    }
}
