<?php

declare(strict_types=1);

namespace Amqp1\Worker\Monitoring;

use Amqp1\Exception\ConfigException;

/**
 * The file in which a worker says how it is, for processes that cannot ask it while a handler runs.
 *
 * It has two records, which are overwritten in place: a short one that changes with each job, and one with all figures.
 * Each begins with its length and checksum, so that a reader notices a record that is just being written, and reads again.
 * The first byte says whether a handler runs: the end of a handler changes only that.
 *
 * @internal
 */
final class StateFile
{
    private const WORKING = 'W';
    private const IDLE = 'I';

    /** Where the records begin. */
    private const FIRST = 1;
    private const SECOND = 1024;

    /** How often a record that is being written is read again, a millisecond apart. */
    private const READS = 50;

    /** @param resource $file */
    private function __construct(private $file)
    {
    }

    /** @throws ConfigException it cannot be written, or belongs to a worker that runs */
    public static function create(string $path): self
    {
        $before = self::read($path)['now'] ?? null;
        if ($before !== null && $before['pid'] !== getmypid() && Process::isAlive($before['pid'], $before['born'])) {
            throw new ConfigException("Worker option \"stateFile\": $path belongs to the worker of process {$before['pid']},"
                . ' which is running: each worker needs a file of its own');
        }
        $file = @fopen($path, 'c+');
        if ($file === false || !ftruncate($file, 0)) {
            throw new ConfigException("Worker option \"stateFile\": $path is not writable");
        }

        return new self($file);
    }

    /**
     * A file without a name, and a reader of it for a process that is forked.
     *
     * @return array{self, self}
     *
     * @throws ConfigException there is no folder for it
     */
    public static function unnamed(): array
    {
        foreach (['/dev/shm', sys_get_temp_dir()] as $folder) {
            $path = is_dir($folder) && is_writable($folder) ? @tempnam($folder, 'amqp1-') : false;
            $file = $path === false ? false : fopen($path, 'c+');
            // Of its own: two that share a file description share its position.
            $reader = $file === false ? false : fopen($path, 'r');
            if ($path !== false) {
                unlink($path);
            }
            if ($file !== false && $reader !== false) {
                return [new self($file), new self($reader)];
            }
        }
        throw new ConfigException('Metrics need a folder for a small file: neither /dev/shm nor ' . sys_get_temp_dir() . ' is writable');
    }

    /** For a process that reads it again and again. @throws ConfigException */
    public static function reader(string $path): self
    {
        $file = @fopen($path, 'r');

        return $file !== false ? new self($file) : throw new ConfigException("Worker option \"stateFile\": $path is not readable");
    }

    /** @param array<string, mixed> $now */
    public function writeNow(array $now): void
    {
        $this->write(0, ($now['since'] === null ? self::IDLE : self::WORKING) . self::text($now));
    }

    /** The handler that was written has ended. */
    public function writeIdle(): void
    {
        $this->write(0, self::IDLE);
    }

    /** @param array<string, mixed> $figures */
    public function writeFigures(array $figures): void
    {
        $this->write(self::SECOND, self::text($figures));
    }

    public function close(): void
    {
        fclose($this->file);
    }

    /** @return array{now: array<string, mixed>, figures: array<string, mixed>}|null null: nothing is there yet */
    public static function read(string $path): ?array
    {
        $file = @fopen($path, 'r');
        if ($file === false) {
            return null;
        }
        $state = (new self($file))->state();
        fclose($file);

        return $state;
    }

    /** @return array{now: array<string, mixed>, figures: array<string, mixed>}|null null: nothing is there yet */
    public function state(): ?array
    {
        for ($reads = 0; $reads < self::READS; $reads++) {
            fseek($this->file, 0);
            $all = (string) stream_get_contents($this->file);
            $now = self::record($all, self::FIRST);
            $figures = self::record($all, self::SECOND);
            if ($now !== null && $figures !== null) {
                if ($all[0] === self::IDLE) {
                    $now = ['since' => null, 'in_hand' => 0] + $now;
                }

                return ['now' => $now, 'figures' => $figures];
            }
            if ($all === '') {
                return null;
            }
            usleep(1000);
        }

        return null;
    }

    private function write(int $at, string $text): void
    {
        fseek($this->file, $at);
        // A full disk is no reason to fail a job; the state gets old, and says so.
        @fwrite($this->file, $text);
    }

    /** @param array<string, mixed> $record */
    private static function text(array $record): string
    {
        $json = (string) json_encode($record, JSON_UNESCAPED_SLASHES | JSON_INVALID_UTF8_SUBSTITUTE | JSON_PARTIAL_OUTPUT_ON_ERROR);

        return sprintf('%08x %08x %s', strlen($json), crc32($json), $json);
    }

    /** @return array<string, mixed>|null */
    private static function record(string $all, int $at): ?array
    {
        if (sscanf(substr($all, $at, 18), '%8x %8x ', $length, $checksum) !== 2) {
            return null;
        }
        $json = substr($all, $at + 18, $length);
        $record = strlen($json) === $length && crc32($json) === $checksum ? json_decode($json, true) : null;

        return is_array($record) ? $record : null;
    }
}
