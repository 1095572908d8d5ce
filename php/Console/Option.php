<?php

declare(strict_types=1);

namespace Amqp1\Console;

/**
 * One option of a command.
 *
 * @internal
 */
final class Option
{
    /**
     * @param string $name Without its dashes.
     * @param string|null $value What its value is called in the help; null: it takes none.
     * @param string|null $short One letter that means the same.
     * @param bool $repeats It may be given more than once.
     */
    public function __construct(
        public readonly string $name,
        public readonly ?string $value,
        public readonly string $help,
        public readonly ?string $short = null,
        public readonly bool $repeats = false,
    ) {
    }

    public function usage(): string
    {
        return ($this->short === null ? '    ' : "-$this->short, ") . "--$this->name"
            . ($this->value === null ? '' : " $this->value");
    }
}
