<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support;

use RuntimeException;

/** A real terminal, with a shell in it: keys go in, what it shows comes out. It ends with this object. */
final class Tmux
{
    private readonly string $socket;

    /**
     * @param array<string, string> $environment besides the test run's own
     */
    public function __construct(string $folder, int $columns, int $rows, array $environment = [])
    {
        $this->socket = "$folder/tmux-" . bin2hex(random_bytes(3));
        $environment += ['LC_ALL' => 'C.UTF-8'] + getenv();
        unset($environment['NO_COLOR'], $environment['TMUX']);
        $this->tmux($environment, '-u', '-f', '/dev/null', 'new-session', '-d', '-x', (string) $columns, '-y', (string) $rows,
            '-c', $folder, 'exec env PS1="$ " bash --norc --noprofile');
        try {
            $this->waitFor('$');
        } catch (RuntimeException $e) {
            // An object that was not made is not destroyed either.
            $this->end();
            throw $e;
        }
    }

    /** Types text, without Enter. */
    public function type(string $text): void
    {
        $this->tmux(null, 'send-keys', '-l', '--', $text);
    }

    /** Presses keys, by tmux's names: Enter, Escape, Up, C-c. */
    public function press(string ...$keys): void
    {
        $this->tmux(null, 'send-keys', ...$keys);
    }

    /** A command of the shell. */
    public function enter(string $command): void
    {
        $this->type($command);
        $this->press('Enter');
    }

    public function resize(int $columns, int $rows): void
    {
        $this->tmux(null, 'resize-window', '-x', (string) $columns, '-y', (string) $rows);
    }

    /** What it shows. */
    public function screen(bool $colours = false): string
    {
        return $this->tmux(null, 'capture-pane', '-p', ...($colours ? ['-e'] : []));
    }

    /** Whether the second screen is shown, on which full-screen programs draw. */
    public function isOnSecondScreen(): bool
    {
        return trim($this->tmux(null, 'display-message', '-p', '#{alternate_on}')) === '1';
    }

    public function showsCursor(): bool
    {
        return trim($this->tmux(null, 'display-message', '-p', '#{cursor_flag}')) === '1';
    }

    /** Waits until the screen has the text, and returns it. */
    public function waitFor(string $text, float $seconds = 20): string
    {
        return $this->waitUntil("'$text'", static fn (string $screen) => str_contains($screen, $text), $seconds);
    }

    public function waitUntilGone(string $text, float $seconds = 20): string
    {
        return $this->waitUntil("'$text' to go", static fn (string $screen) => !str_contains($screen, $text), $seconds);
    }

    public function waitForMatch(string $pattern, float $seconds = 20): string
    {
        return $this->waitUntil($pattern, static fn (string $screen) => preg_match($pattern, $screen) === 1, $seconds);
    }

    /** @param callable(string): bool $holds */
    private function waitUntil(string $what, callable $holds, float $seconds): string
    {
        $deadline = microtime(true) + $seconds;
        do {
            $screen = $this->screen();
            if ($holds($screen)) {
                return $screen;
            }
            usleep(20000);
        } while (microtime(true) < $deadline);

        throw new RuntimeException("waited $seconds s for $what, but:\n$screen");
    }

    /** @param array<string, string>|null $environment of the server, which the first command starts */
    private function tmux(?array $environment, string ...$arguments): string
    {
        $out = tmpfile();
        // The server must not inherit a pipe that somebody reads to its end.
        $process = proc_open(['tmux', '-S', $this->socket, ...$arguments], [['file', '/dev/null', 'r'], $out, $out], $pipes, null, $environment);
        $code = $process === false ? 127 : proc_close($process);
        rewind($out);
        $said = (string) stream_get_contents($out);
        if ($code !== 0) {
            throw new RuntimeException('tmux ' . implode(' ', $arguments) . " ended with $code: $said (scripts/deps php installs it)");
        }

        return $said;
    }

    public function __destruct()
    {
        $this->end();
    }

    private function end(): void
    {
        try {
            $this->tmux(null, 'kill-server');
        } catch (RuntimeException) {
            // It has ended with its shell.
        }
        @unlink($this->socket);
    }
}
