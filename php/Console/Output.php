<?php

declare(strict_types=1);

namespace Amqp1\Console;

use Throwable;

/**
 * What a command prints: results to one stream, all that accompanies them to another.
 *
 * A reader that has gone (`| head`) is no error.
 *
 * @internal
 */
final class Output
{
    /** EBADF and EPIPE: there is nobody who would read it. */
    private const NO_READER = [9, 32];

    /** Seconds that a full pipe is waited for. */
    private const WAITS = 60;

    private bool $hasReader = true;

    /**
     * @param resource $results
     * @param resource $notes
     */
    public function __construct(
        private $results,
        private $notes,
        public readonly bool $json = false,
        public readonly bool $quiet = false,
    ) {
    }

    /** @throws OutputError the result cannot be written, as on a disk that is full */
    public function line(string $text = ''): void
    {
        $problem = $this->write($this->results, $text . "\n");
        if ($problem !== null) {
            throw new OutputError("The command has done its work, but its result cannot be written: $problem");
        }
    }

    /**
     * All of it, also to a stream that does not block.
     *
     * @param resource $stream
     *
     * @return string|null why not, unless there is no reader
     */
    private function write($stream, string $text): ?string
    {
        for ($waits = 0; $text !== '' && $waits < self::WAITS;) {
            error_clear_last();
            $written = @fwrite($stream, $text);
            $error = error_get_last()['message'] ?? null;
            if ($error !== null) {
                $problem = preg_match('/errno=(\d+) (.*)/', $error, $found) === 1
                    ? (in_array((int) $found[1], self::NO_READER, true) ? null : $found[2]) : $error;
                $this->hasReader = $this->hasReader && ($problem !== null || $stream !== $this->results);

                return $problem;
            }
            if ((int) $written === 0) {
                [$read, $write, $except] = [null, [$stream], null];
                @stream_select($read, $write, $except, 1);
                $waits++;
            }
            $text = substr($text, (int) $written);
        }

        return $text === '' ? null : 'nothing reads it';
    }

    /** Whether somebody may still read the results. */
    public function hasReader(): bool
    {
        return $this->hasReader;
    }

    /** One JSON document. */
    public function json(mixed $value): void
    {
        $this->line((string) json_encode($value, JSON_PRETTY_PRINT | JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE
            | JSON_INVALID_UTF8_SUBSTITUTE | JSON_PRESERVE_ZERO_FRACTION));
    }

    /** What a person wants to know besides the result; not with --quiet. */
    public function note(string $text): void
    {
        if (!$this->quiet) {
            $this->error($text);
        }
    }

    public function error(string $text): void
    {
        $this->write($this->notes, $text . "\n");
    }

    /**
     * What went wrong with some of several queues, once each.
     *
     * @param list<Throwable> $problems
     *
     * @return int the exit code of the first, 0 without
     */
    public function problems(array $problems): int
    {
        foreach (array_unique(array_map(static fn (Throwable $e) => $e->getMessage(), $problems)) as $message) {
            $this->error('amqp1: ' . self::printable($message));
        }

        return $problems === [] ? ExitCode::OK : ExitCode::of($problems[0]);
    }

    /** Whether a person watches. */
    public function isWatched(): bool
    {
        return stream_isatty($this->notes);
    }

    /** A line that the next one replaces. */
    public function progress(string $text): void
    {
        @fwrite($this->notes, $this->isWatched() ? "\r\e[K$text" : "$text\n");
    }

    public function endProgress(): void
    {
        if ($this->isWatched()) {
            @fwrite($this->notes, "\r\e[K");
        }
    }

    /**
     * @param list<string> $head
     * @param list<list<string|int|float|null>> $rows numbers stand at the right
     */
    public function table(array $head, array $rows): void
    {
        if ($rows === []) {
            return;
        }
        $texts = array_map(fn (array $row) => array_map(self::cell(...), $row), $rows);
        $widths = array_map(Text::width(...), $head);
        foreach ($texts as $row) {
            foreach ($row as $column => $text) {
                $widths[$column] = max($widths[$column], Text::width($text));
            }
        }
        foreach ([$head, ...$texts] as $index => $row) {
            $line = [];
            foreach ($row as $column => $text) {
                $space = str_repeat(' ', $widths[$column] - Text::width($text));
                $right = $index === 0
                    ? self::isNumber($rows[0][$column])
                    : self::isNumber($rows[$index - 1][$column]);
                $line[] = $right ? $space . $text : $text . $space;
            }
            $this->line(rtrim(implode('  ', $line)));
        }
    }

    /** One line, without what would move a terminal's cursor. */
    public static function cell(string|int|float|null $value, int $longest = 80): string
    {
        if ($value === null) {
            return '-';
        }
        $text = self::printable((string) $value);

        return preg_match("/^.{{$longest}}./su", $text) === 1
            ? preg_replace('/^(.{' . ($longest - 1) . '}).*$/su', '$1…', $text) : $text;
    }

    /** As it is but for control characters, which a job's text may have and a terminal would obey. */
    public static function printable(string $text, bool $lines = false): string
    {
        $text = json_decode((string) json_encode($text, JSON_INVALID_UTF8_SUBSTITUTE));

        $unprintable = $lines ? '/(?![\n\t])[\p{Cc}\p{Cf}]/u' : '/[\p{Cc}\p{Cf}\x{2028}\x{2029}]+/u';

        return (string) preg_replace($unprintable, ' ', $text);
    }

    private static function isNumber(string|int|float|null $value): bool
    {
        return is_int($value) || is_float($value);
    }
}
