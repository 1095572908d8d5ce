<?php

declare(strict_types=1);

namespace Amqp1\Command\Top;

use Amqp1\Console\Output;
use Amqp1\Console\Screen\Line;
use Amqp1\Console\Screen\Style;
use Amqp1\Console\Text;

/**
 * The queues as a table that fits a screen: the figures that matter most, as many as there is room for.
 *
 * @internal
 */
final class QueueTable
{
    /** In their order from left to right: head, columns, and who is left out first (the greatest). */
    private const FIGURES = [
        'ready' => ['READY', 6, 1],
        'change' => ['CHANGE/S', 8, 3],
        'done' => ['DONE/S', 6, 4],
        'delayed' => ['DELAYED', 7, 5],
        'reserved' => ['RESERVED', 8, 6],
        'failed' => ['FAILED', 6, 2],
        'oldest' => ['OLDEST', 6, 7],
        'consumers' => ['CONSUMERS', 9, 8],
        'empty' => ['EMPTY IN', 8, 9],
    ];

    private const GAP = 2;
    private const SHORTEST_NAME = 8;
    private const SHORTEST_BROKER = 12;

    /** @var list<string> the figures for which there is room */
    private array $figures = [];

    private int $name;
    private int $broker = 0;

    /** @param list<WatchedQueue> $queues */
    public function __construct(array $queues, int $columns, private readonly Workers $workers)
    {
        $longest = max(array_map(static fn (WatchedQueue $queue) => Text::width(Output::printable($queue->name)), $queues));
        $this->name = max(self::SHORTEST_NAME, min($longest, intdiv($columns, 3)));
        $rest = $columns - $this->name;
        $places = self::FIGURES;
        if (!$workers->areWatched()) {
            unset($places['done']);
        }
        if (array_filter($queues, static fn (WatchedQueue $queue) => $queue->reading()?->oldest !== null) === []) {
            unset($places['oldest']);
        }
        uasort($places, static fn (array $a, array $b) => $a[2] <=> $b[2]);
        foreach ($places as $figure => [, $width]) {
            if ($rest < $width + self::GAP) {
                break;
            }
            $rest -= $width + self::GAP;
            $this->figures[] = $figure;
        }
        $this->figures = array_values(array_intersect(array_keys(self::FIGURES), $this->figures));
        $more = min($rest, max(0, $longest - $this->name));
        $this->name += $more;
        $rest -= $more;
        if ($rest >= self::SHORTEST_BROKER + self::GAP) {
            $this->broker = $rest - self::GAP;
        }
    }

    public function head(): Line
    {
        $head = Text::fit('QUEUE', $this->name);
        foreach ($this->figures as $figure) {
            $head .= str_repeat(' ', self::GAP) . Text::fit(self::FIGURES[$figure][0], self::FIGURES[$figure][1], true);
        }

        return Line::of($head . ($this->broker > 0 ? str_repeat(' ', self::GAP) . Text::fit('BROKER', $this->broker) : ''), Style::Head);
    }

    public function row(WatchedQueue $queue, float $now): Line
    {
        $state = $queue->state($now);
        $line = Line::of(Text::fit(Output::printable($queue->name), $this->name));
        if (!$state->hasFigures()) {
            return $line->add(str_repeat(' ', self::GAP) . self::problem($queue, $now), $state === State::Asked ? Style::Dim : Style::Bad);
        }
        foreach ($this->figures as $figure) {
            $text = Text::fit($this->cell($queue, $figure), self::FIGURES[$figure][1], true);
            $line->add(str_repeat(' ', self::GAP) . $text, $state === State::Late ? Style::Dim : self::style($queue, $figure));
        }
        if ($state === State::Late && $this->broker === 0) {
            // Figures that may be old must not look like new ones.
            return Line::of(Text::fit(Output::printable($queue->name), $this->name) . str_repeat(' ', self::GAP))
                ->add(self::problem($queue, $now), Style::Warning);
        }

        return $this->broker === 0 ? $line : $line->add(
            str_repeat(' ', self::GAP) . Text::cut($state === State::Late ? self::problem($queue, $now)
                : Output::printable((string) $queue->reading()?->broker), $this->broker),
            $state === State::Late ? Style::Warning : Style::Dim
        );
    }

    private function cell(WatchedQueue $queue, string $figure): string
    {
        return match ($figure) {
            'change' => Words::rate($queue->change()),
            'done' => Words::perSecond($this->workers->doneRate($queue->name)),
            'empty' => Words::seconds($queue->emptyIn()),
            'oldest' => Words::seconds($queue->reading()?->oldest),
            default => Words::number($queue->reading()?->$figure),
        };
    }

    private static function style(WatchedQueue $queue, string $figure): Style
    {
        return match (true) {
            $figure === 'failed' && $queue->failedChange() > 0 => Style::Bad,
            $figure === 'failed' && $queue->reading()?->failed > 0 => Style::Warning,
            $figure === 'consumers' && $queue->reading()?->consumers === 0 && $queue->reading()->ready > 0 => Style::Warning,
            default => Style::Plain,
        };
    }

    /** Why there are no figures, or no new ones. */
    public static function problem(WatchedQueue $queue, float $now): string
    {
        $error = Words::error((string) $queue->error());

        return match ($queue->state($now)) {
            State::Asked => 'asking …',
            State::Late => 'no answer for ' . Words::seconds($queue->silence($now)),
            State::Down => 'down for ' . Words::seconds($queue->silence($now)) . ": $error",
            State::Silent => 'silent for ' . Words::seconds($queue->silence($now)) . ": $error",
            State::Missing => "missing: $error",
            State::Error => "no figures: $error",
            State::Ok => '',
        };
    }
}
