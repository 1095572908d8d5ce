<?php

declare(strict_types=1);

namespace Amqp1\Console\Screen;

/**
 * Turns screens into what a terminal must be told: only the lines that have changed, without clearing any first.
 *
 * @internal
 */
final class Painter
{
    /** @var list<string> as the terminal shows them; empty: unknown */
    private array $shown = [];

    private int $columns = 0;

    public function __construct(private readonly bool $colours)
    {
    }

    /** The terminal may show anything now. */
    public function forget(): void
    {
        $this->shown = [];
    }

    /**
     * @param list<Line> $lines the screen from its first line; what is missing is blank, what does not fit is left out
     *
     * @return string to be written in one go
     */
    public function changes(array $lines, int $columns, int $rows): string
    {
        if ($columns !== $this->columns || $rows !== count($this->shown)) {
            $this->forget();
            $this->columns = $columns;
        }
        $changes = '';
        $next = [];
        for ($row = 0; $row < $rows; $row++) {
            $next[$row] = ($lines[$row] ?? Line::of())->rendered($columns, $this->colours);
            if ($next[$row] !== ($this->shown[$row] ?? null)) {
                $changes .= "\e[" . ($row + 1) . ';1H' . $next[$row];
            }
        }
        $this->shown = $next;

        return $changes;
    }
}
