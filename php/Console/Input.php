<?php

declare(strict_types=1);

namespace Amqp1\Console;

/**
 * A command line, taken apart by the options it may have.
 *
 * @internal
 */
final class Input
{
    /**
     * @param list<string> $arguments
     * @param array<string, list<string>|true> $options by name
     */
    private function __construct(public readonly array $arguments, private readonly array $options)
    {
    }

    /**
     * `--name value`, `--name=value`, `-n value`, flags in one (`-qn`), and after `--` only arguments.
     *
     * @param list<string> $words
     * @param list<Option> $known
     *
     * @throws UsageError
     */
    public static function parse(array $words, array $known): self
    {
        $byName = $byShort = [];
        foreach ($known as $option) {
            $byName[$option->name] = $option;
            if ($option->short !== null) {
                $byShort[$option->short] = $option;
            }
        }
        $arguments = $options = [];
        while ($words !== []) {
            $word = array_shift($words);
            if ($word === '--') {
                $arguments = [...$arguments, ...$words];
                break;
            }
            if (!str_starts_with($word, '-') || $word === '-') {
                $arguments[] = $word;
                continue;
            }
            $value = null;
            if (str_starts_with($word, '--')) {
                [$name, $value] = explode('=', substr($word, 2), 2) + [1 => null];
                $option = $byName[$name] ?? throw new UsageError("Unknown option --$name"
                    . Suggestion::for($name, array_keys($byName), '--'));
            } else {
                $letter = $word[1];
                $option = $byShort[$letter] ?? throw new UsageError("Unknown option -$letter");
                if (strlen($word) > 2) {
                    if ($option->value === null) {
                        array_unshift($words, '-' . substr($word, 2));
                    } else {
                        $value = ltrim(substr($word, 2), '=');
                    }
                }
            }
            if ($option->value === null) {
                if ($value !== null) {
                    throw new UsageError("--$option->name does not take a value");
                }
                $options[$option->name] = true;
                continue;
            }
            if ($value === null && $words === []) {
                throw new UsageError("--$option->name requires a value: --$option->name $option->value");
            }
            if (isset($options[$option->name]) && !$option->repeats) {
                throw new UsageError("--$option->name can be given only once");
            }
            $options[$option->name][] = $value ?? array_shift($words);
        }

        return new self($arguments, $options);
    }

    public function has(string $name): bool
    {
        return isset($this->options[$name]);
    }

    public function string(string $name): ?string
    {
        return $this->options[$name][0] ?? null;
    }

    /** @return list<string> */
    public function list(string $name): array
    {
        return $this->options[$name] ?? [];
    }

    /** A whole number from $least up. */
    public function int(string $name, int $least = 0): ?int
    {
        $text = $this->string($name);
        if ($text === null) {
            return null;
        }
        $value = filter_var($text, FILTER_VALIDATE_INT, ['options' => ['min_range' => $least]]);

        return $value !== false ? $value : throw new UsageError("--$name must be an integer, $least or greater, not \"$text\"");
    }

    /** Seconds, whole or fractional. */
    public function seconds(string $name): ?float
    {
        $text = $this->string($name);
        if ($text === null) {
            return null;
        }
        $value = filter_var($text, FILTER_VALIDATE_FLOAT);

        return $value !== false && $value >= 0 ? $value : throw new UsageError("--$name must be a number of seconds, not \"$text\"");
    }

    /** The only argument. */
    public function argument(string $what): string
    {
        if (count($this->arguments) !== 1) {
            throw new UsageError($this->arguments === [] ? "$what is missing"
                : 'Too many arguments: ' . implode(' ', array_slice($this->arguments, 1)));
        }

        return $this->arguments[0];
    }

    public function noArguments(): void
    {
        if ($this->arguments !== []) {
            throw new UsageError('Too many arguments: ' . implode(' ', $this->arguments));
        }
    }
}
