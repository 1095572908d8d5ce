<?php

declare(strict_types=1);

namespace Amqp1\Bench\Clients;

use Amqp1\Bench\Task;
use RuntimeException;

/**
 * The least that a client must do to consume job by job: one write and one read for each. It takes nothing out of a job, so its
 * rate is what the broker and the protocol allow, whatever the client is written in.
 */
abstract class Floor implements Client
{
    /** @var resource|null */
    private $socket = null;
    protected string $input = '';

    private readonly Client $publisher;

    public function __construct(protected readonly Task $task)
    {
        $this->publisher = $this->publisher($task);
    }

    /** A client of the same protocol: the broker converts a job for the other one, which is no floor. */
    abstract protected function publisher(Task $task): Client;

    final public function push(int $n): void
    {
        $this->publisher->push($n);
    }

    final public function pushMany(int $from, int $to): void
    {
        $this->publisher->pushMany($from, $to);
    }

    protected function connect(): void
    {
        $at = $this->task->at();
        $socket = stream_socket_client("tcp://{$at['host']}:{$at['port']}", $_, $why, 10, STREAM_CLIENT_CONNECT, stream_context_create(['socket' => ['tcp_nodelay' => true]]));
        $this->socket = $socket ?: throw new RuntimeException("no connection: $why");
        stream_set_read_buffer($socket, 0);
        stream_set_timeout($socket, 30);
    }

    protected function write(string $octets): void
    {
        if (fwrite($this->socket, $octets) !== strlen($octets)) {
            throw new RuntimeException('the connection broke');
        }
    }

    /** Reads what is there, and waits for it if nothing is. */
    protected function read(): void
    {
        $octets = (string) fread($this->socket, 65_536);
        if ($octets === '') {
            throw new RuntimeException('the broker sent nothing, or closed the connection');
        }
        $this->input .= $octets;
    }

    /** The next octets, however many reads they take. */
    protected function take(int $length): string
    {
        while (strlen($this->input) < $length) {
            $this->read();
        }
        $octets = substr($this->input, 0, $length);
        $this->input = substr($this->input, $length);

        return $octets;
    }
}
