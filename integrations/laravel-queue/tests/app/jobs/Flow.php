<?php

declare(strict_types=1);

namespace App\Jobs;

use Illuminate\Support\Facades\Bus;

/** Batches and chains with closures, which workers can only run if they have this class. */
final class Flow
{
    public static function batch(): void
    {
        Bus::batch([new Note('one'), new Note('two'), new Note('bad', 'throw')])
            ->then(static fn () => Note::write('then'))
            ->catch(static fn () => Note::write('catch'))
            ->finally(static fn () => Note::write('finally'))
            ->allowFailures()
            ->dispatch();
    }

    public static function chain(): void
    {
        Bus::chain([new Note('first'), new Note('second'), static fn () => Note::write('closure')])->dispatch();
    }
}
