<?php

declare(strict_types=1);

namespace Amqp1\Command\Top;

use Amqp1\Console\Output;
use Amqp1\Console\Screen\Line;
use Amqp1\Console\Screen\Style;
use Amqp1\Console\Text;

/**
 * What went wrong, in full.
 *
 * @internal
 */
final class EventsPage extends TextPage
{
    private const ALL = 100;

    public function __construct(private readonly Board $board, Desk $desk)
    {
        parent::__construct($desk);
    }

    protected function title(): string
    {
        return 'Events since the start, the last one first';
    }

    protected function text(int $columns): array
    {
        $lines = [];
        foreach ($this->board->problems(self::ALL) as $problem) {
            $lines[] = Line::of(date('Y-m-d H:i:s', $problem->time) . "  $problem->queue", Style::Dim);
            foreach (Text::wrap(Output::printable($problem->text, true), $columns - 2) as $part) {
                $lines[] = Line::of("  $part", $problem->isOver ? Style::Good : Style::Bad);
            }
        }

        return $lines === [] ? [Line::of('Nothing has gone wrong.')] : $lines;
    }
}
