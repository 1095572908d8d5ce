<?php

declare(strict_types=1);

namespace Amqp1\Worker\Monitoring;

use Amqp1\Exception\ConfigException;
use Throwable;

/**
 * As much of HTTP as a scrape and a probe need: GET and HEAD, one request a connection. Nobody who is slow makes others wait.
 *
 * @internal
 */
final class HttpServer
{
    /** Connections at once; others wait until one is closed. */
    private const MOST = 64;

    /** Bytes of a request. */
    private const LONGEST = 8192;

    /** Seconds that one may take. */
    private const PATIENCE = 5.0;

    /** A worker that was killed is followed by the next one before the address is free: seconds. */
    private const RETRY = 2.0;

    /** EADDRINUSE */
    private const IN_USE = 98;

    /** @var array<int, array{socket: resource, request: string, answer: string|null, since: float}> */
    private array $connections = [];

    /** @param resource $listener */
    private function __construct(private $listener)
    {
        stream_set_blocking($listener, false);
    }

    /** @throws ConfigException no address, or one that is in use */
    public static function listen(string $address): self
    {
        if (preg_match('/^(?:\[[0-9a-f:.]+\]|[^:\/\s]*):\d{1,5}$/i', $address) !== 1) {
            throw new ConfigException("Worker option \"metrics\" must be HOST:PORT, such as 127.0.0.1:9464 or :9464, not \"$address\"");
        }
        $at = str_starts_with($address, ':') ? "0.0.0.0$address" : $address;
        for ($until = hrtime(true) + self::RETRY * 1e9;; usleep(50_000)) {
            $listener = @stream_socket_server("tcp://$at", $code, $error);
            if ($listener !== false) {
                return new self($listener);
            }
            if ($code !== self::IN_USE || hrtime(true) >= $until) {
                throw new ConfigException("Worker option \"metrics\": cannot listen on $address: $error."
                    . ' Each worker needs an address of its own');
            }
        }
    }

    public function address(): string
    {
        return (string) stream_socket_get_name($this->listener, false);
    }

    public function close(): void
    {
        fclose($this->listener);
    }

    /** @return list<resource> */
    public function readers(): array
    {
        $waiting = array_filter($this->connections, static fn (array $connection) => $connection['answer'] === null);

        return [...count($this->connections) < self::MOST ? [$this->listener] : [], ...array_column($waiting, 'socket')];
    }

    /** @return list<resource> */
    public function writers(): array
    {
        return array_column(array_filter($this->connections, static fn (array $connection) => $connection['answer'] !== null), 'socket');
    }

    /** @param array<resource> $readable */
    public function serve(array $readable, Metrics $metrics): void
    {
        foreach ($readable as $socket) {
            if ($socket === $this->listener) {
                $new = @stream_socket_accept($socket, 0);
                if ($new !== false) {
                    stream_set_blocking($new, false);
                    $this->connections[(int) $new] = ['socket' => $new, 'request' => '', 'answer' => null, 'since' => hrtime(true) / 1e9];
                }
            } elseif (isset($this->connections[(int) $socket])) {
                $this->read((int) $socket, $metrics);
            }
        }
        foreach (array_keys($this->connections) as $id) {
            $this->write($id);
        }
    }

    public function expire(float $now): void
    {
        foreach ($this->connections as $id => $connection) {
            if ($now - $connection['since'] > self::PATIENCE) {
                $this->drop($id);
            }
        }
    }

    private function read(int $id, Metrics $metrics): void
    {
        $connection = &$this->connections[$id];
        $more = (string) @fread($connection['socket'], self::LONGEST);
        $connection['request'] .= $more;
        if (preg_match('/^(.*?)\r?\n(?:.*?\r?\n)?\r?\n/s', $connection['request'], $match) === 1) {
            try {
                $connection['answer'] = self::answer($match[1], $metrics);
            } catch (Throwable $e) {
                $connection['answer'] = self::response(500, 'text/plain', "{$e->getMessage()}\n", true);
            }
        } elseif (strlen($connection['request']) >= self::LONGEST) {
            $connection['answer'] = self::response(431, 'text/plain', "the request is too long\n", true);
        } elseif ($more === '' && feof($connection['socket'])) {
            $this->drop($id);
        }
    }

    private function write(int $id): void
    {
        $connection = &$this->connections[$id];
        if ($connection['answer'] === null) {
            return;
        }
        $written = @fwrite($connection['socket'], $connection['answer']);
        $connection['answer'] = substr($connection['answer'], (int) $written);
        if ($written === false || $connection['answer'] === '') {
            // A client that still sends must not lose the answer to a reset.
            @stream_socket_shutdown($connection['socket'], STREAM_SHUT_WR);
            $this->drop($id);
        }
    }

    private function drop(int $id): void
    {
        @fclose($this->connections[$id]['socket']);
        unset($this->connections[$id]);
    }

    private static function answer(string $line, Metrics $metrics): string
    {
        if (preg_match('#^([A-Z]+) ([^ ?]+)(?:\?\S*)? HTTP/1\.[01]$#', $line, $match) !== 1) {
            return self::response(400, 'text/plain', "not an HTTP request\n", true);
        }
        [, $method, $path] = $match;
        if ($method !== 'GET' && $method !== 'HEAD') {
            return self::response(405, 'text/plain', "only GET and HEAD\n", true);
        }
        $health = in_array($path, ['/healthz', '/readyz'], true) ? $metrics->health() : null;
        [$status, $type, $body] = match ($path) {
            '/metrics' => [200, Exposition::CONTENT_TYPE, $metrics->text()],
            '/healthz' => [$health->isAlive ? 200 : 503, 'text/plain', "$health->text\n"],
            '/readyz' => [$health->isReady ? 200 : 503, 'text/plain', "$health->text\n"],
            default => [404, 'text/plain', "see /metrics, /healthz, /readyz\n"],
        };

        return self::response($status, $type, $body, $method === 'GET');
    }

    private static function response(int $status, string $type, string $body, bool $withBody): string
    {
        $reason = [200 => 'OK', 400 => 'Bad Request', 404 => 'Not Found', 405 => 'Method Not Allowed',
            431 => 'Request Header Fields Too Large', 500 => 'Internal Server Error', 503 => 'Service Unavailable'][$status];

        return "HTTP/1.1 $status $reason\r\nContent-Type: $type\r\nContent-Length: " . strlen($body)
            . "\r\nCache-Control: no-store\r\n" . ($status === 405 ? "Allow: GET, HEAD\r\n" : '') . "Connection: close\r\n\r\n"
            . ($withBody ? $body : '');
    }
}
