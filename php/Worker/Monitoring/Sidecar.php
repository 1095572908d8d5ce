<?php

declare(strict_types=1);

namespace Amqp1\Worker\Monitoring;

use Amqp1\AmqpQueue;
use Amqp1\Exception\ConfigException;
use Amqp1\WorkerOptions;
use Throwable;

/**
 * A process beside the worker, which serves its metrics and asks the broker about its queues: a worker that runs a handler
 * answers nobody.
 *
 * It is a grandchild, so that a handler that waits for its own children does not wait for this one. It ends with its
 * worker, however that ends: the worker's side of a pair of sockets is closed then, or, if a process that a handler has
 * left behind keeps that open, the worker's process is gone.
 *
 * @internal
 */
final class Sidecar
{
    /** How often it looks whether its worker is still there: seconds. */
    private const LOOK = 1.0;

    /** How long the end of a worker waits for it: seconds. */
    private const END = 2.0;

    private const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGCHLD'];

    /**
     * @param resource $socket
     * @param string|null $address Where it serves.
     */
    private function __construct(private $socket, public readonly ?string $address)
    {
    }

    /**
     * @param array<AmqpQueue> $queues
     *
     * @throws ConfigException it cannot listen, write or fork
     */
    public static function start(WorkerOptions $options, StateFile $state, array $queues): self
    {
        if (!function_exists('pcntl_fork') || !function_exists('posix_kill')) {
            throw new ConfigException('Worker options "metrics" and "metricsFile" need the PHP extensions pcntl and posix:'
                . ' the metrics are served by a process beside the worker');
        }
        $server = $options->metrics === null ? null : HttpServer::listen($options->metrics);
        $file = $options->metricsFile === null ? null : new MetricsFile($options->metricsFile);
        // All its classes are loaded before a deploy can replace their files.
        $metrics = new Metrics($state, new QueueFigures($queues));
        foreach ([ClientMetrics::class, Exposition::class, Health::class, Process::class, SidecarLoop::class] as $class) {
            class_exists($class);
        }
        $pair = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0)
            ?: throw new ConfigException('The process that serves metrics cannot be started: there are no sockets');
        $worker = (int) getmypid();
        $born = Process::born($worker);
        $child = pcntl_fork();
        if ($child === 0) {
            if (pcntl_fork() === 0) {
                fclose($pair[0]);
                try {
                    (new SidecarLoop($pair[1], $worker, $born, $metrics, $server, $file, $options->metricsInterval, self::LOOK))->run();
                } catch (Throwable) {
                    // The worker sees that its sidecar has gone.
                }
            }
            self::vanish();
        }
        fclose($pair[1]);
        $address = $server?->address();
        $server?->close();
        if ($child < 0) {
            throw new ConfigException('The process that serves metrics cannot be started: fork() failed');
        }
        while (pcntl_waitpid($child, $status) === -1 && pcntl_get_last_error() === PCNTL_EINTR) {
            // a signal came
        }

        return new self($pair[0], $address);
    }

    /** In the process itself: it ends with its worker, not by a signal that was meant for both. */
    public static function ignoreSignals(): void
    {
        foreach (self::SIGNALS as $name) {
            pcntl_signal((int) constant($name), SIG_IGN);
        }
    }

    /** Ends this process without what PHP does at its end: nothing here is its own. */
    public static function vanish(): never
    {
        posix_kill((int) getmypid(), SIGKILL);
        exit;
    }

    public function hasEnded(): bool
    {
        [$read, $write, $except] = [[$this->socket], null, null];

        return @stream_select($read, $write, $except, 0) === 1 && fread($this->socket, 1) === '';
    }

    /** Lets it write its file for the last time, and waits until its address is free. */
    public function end(): void
    {
        @fwrite($this->socket, "end\n");
        stream_set_blocking($this->socket, false);
        for ($until = hrtime(true) + self::END * 1e9; !feof($this->socket) && hrtime(true) < $until;) {
            [$read, $write, $except] = [[$this->socket], null, null];
            @stream_select($read, $write, $except, 0, 50_000);
            fread($this->socket, 16);
        }
        fclose($this->socket);
    }
}
