<?php

declare(strict_types=1);

namespace Amqp1\Worker\Monitoring;

use Amqp1\Exception\ConfigException;

/**
 * Metrics for the textfile collector of node-exporter: replaced as a whole, so that nobody reads half of them.
 *
 * @internal
 */
final class MetricsFile
{
    /** Each file's metrics have this label: the collector refuses equal ones of two files. */
    private readonly string $worker;

    /** @throws ConfigException there is no such folder */
    public function __construct(private readonly string $path)
    {
        if (is_dir($path) || !is_dir(dirname($path)) || !is_writable(dirname($path))) {
            throw new ConfigException("Worker option \"metricsFile\": $path cannot be written: its folder must exist and be writable");
        }
        $this->worker = basename($path, '.prom');
    }

    public function write(Metrics $metrics): void
    {
        $new = "$this->path." . getmypid() . '.new';
        $text = $metrics->text(['worker' => $this->worker]);
        if (@file_put_contents($new, $text) === strlen($text)) {
            @chmod($new, 0644);
            @rename($new, $this->path);
        } else {
            // A full disk: the old file gets older, which its reader sees.
            @unlink($new);
        }
    }
}
