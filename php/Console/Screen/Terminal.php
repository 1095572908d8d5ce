<?php

declare(strict_types=1);

namespace Amqp1\Console\Screen;

/**
 * The terminal on standard input and output: its second screen, keys without Enter, and all of it as it was before.
 *
 * What it was is restored by leave() and, should that not be reached, when the process ends.
 *
 * @internal
 */
final class Terminal
{
    private const SECOND_SCREEN = "\e[?1049h\e[?25l\e[?7l";

    /** Blank first: a terminal without a second screen would keep it, and tmux keeps lines of one that was resized. */
    private const FIRST_SCREEN = "\e[m\e[H\e[J\e[?7h\e[?25h\e[?1049l";

    /** Where PHP would print what goes wrong: in the middle of the screen. */
    private const PRINTS = ['display_errors', 'log_errors'];

    private bool $isEntered = false;

    /** @var array<string, string> the values of PRINTS before */
    private array $prints = [];

    /** @param string $settings as `stty -g` tells them */
    private function __construct(private readonly string $settings, public readonly bool $hasColours)
    {
        $owner = getmypid();
        register_shutdown_function(function () use ($owner): void {
            // A process that was forked off shares the terminal, and has nothing to restore.
            if (!$this->isEntered || getmypid() !== $owner) {
                return;
            }
            $this->leave();
            $error = error_get_last();
            if ($error !== null && ($error['type'] & (E_ERROR | E_CORE_ERROR | E_COMPILE_ERROR | E_PARSE)) !== 0) {
                fwrite(STDERR, "amqp1: $error[message] in $error[file]:$error[line]\n");
            }
        });
    }

    /**
     * @param string|null $why is set to why there is none
     */
    public static function open(?string &$why = null): ?self
    {
        $type = (string) getenv('TERM');
        $why = match (true) {
            !stream_isatty(STDIN), !stream_isatty(STDOUT) => 'standard input and output are not a terminal',
            $type === '', $type === 'dumb' => 'the terminal cannot move its cursor (TERM is "' . $type . '")',
            !function_exists('pcntl_fork'), !function_exists('posix_kill') => 'PHP has no extension pcntl or posix',
            !function_exists('exec') => 'php.ini disables exec(), which runs stty',
            default => null,
        };
        if ($why !== null) {
            return null;
        }
        $settings = self::stty('-g');
        if ($settings === null) {
            $why = 'stty does not run';

            return null;
        }
        // https://no-color.org
        return new self($settings, (string) getenv('NO_COLOR') === '');
    }

    public function enter(): void
    {
        if (!$this->isEntered) {
            $this->isEntered = true;
            foreach (self::PRINTS as $name) {
                $this->prints[$name] = (string) ini_set($name, '0');
            }
        }
        // Ctrl-C and Ctrl-Z stay signals.
        self::stty('-icanon -echo -iexten min 1 time 0');
        $this->write(self::SECOND_SCREEN);
    }

    public function leave(): void
    {
        if ($this->isEntered) {
            $this->isEntered = false;
            $this->write(self::FIRST_SCREEN);
            self::stty($this->settings);
            array_map('ini_set', array_keys($this->prints), $this->prints);
        }
    }

    /** @return array{int, int} columns and rows */
    public function size(): array
    {
        [$rows, $columns] = array_map('intval', explode(' ', (string) self::stty('size'))) + [1 => 0];

        return $rows > 0 && $columns > 0 ? [$columns, $rows] : [80, 24];
    }

    /** @return string|null what was typed; null: the terminal has gone */
    public function read(): ?string
    {
        $bytes = @fread(STDIN, 4096);

        return $bytes === false || $bytes === '' ? null : $bytes;
    }

    /** @return bool false: the terminal has gone */
    public function write(string $text): bool
    {
        while ($text !== '') {
            $written = @fwrite(STDOUT, $text);
            if ($written === false || $written === 0) {
                return false;
            }
            $text = substr($text, $written);
        }

        return true;
    }

    private static function stty(string $arguments): ?string
    {
        exec("stty $arguments 2>/dev/null", $lines, $code);

        return $code === 0 ? trim($lines[0] ?? '') : null;
    }
}
